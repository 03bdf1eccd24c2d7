#!/usr/bin/env python3
"""Writes what Gymnasium's environments compute, for tests/gymnasium_test.cpp.

    python3 tests/golden/make_gymnasium.py FOLDER [N]       N = 1000000 by default

Needs gymnasium (written against 1.4.0) and numpy. Writes for pendulum and cartpole two files of rows of
little-endian float64 without a header:

  ENV.bin        N random transitions: state, action, next state, reward, terminated, next observation.
                 pendulum: theta in +-20, theta_dot in +-8, action in +-3 (the bound is 2)
                 cartpole: action -1 or 1 (Gymnasium's 0 and 1); x in +-3, theta in +-0.25, of every
                 second row in +-7, speeds in +-5; the first rows stand exactly at the bounds, and one
                 rounding beside them
  ENV.traj.bin   whole episodes: episode, t, state, action, reward, next state, terminated, truncated.
                 pendulum: 100, with random actions; cartpole: 200, random ones and such that balance

With `--sample` the first 2,000 rows and the first 4 episodes also go to ENV_sample.bin and
ENV_traj_sample.bin beside this script, where they are committed.

Gymnasium keeps the state in float64 and does all of step in the type of state and action; only the
observation is rounded to float32. Actions are float64 here, so that a transition is float64
throughout.
"""

import argparse
import pathlib
import time

import gymnasium
import numpy as np

SAMPLE_ROWS, SAMPLE_EPISODES = 2000, 4


class Pendulum:
    name, gym_id, states, episodes = "pendulum", "Pendulum-v1", 2, 100

    @staticmethod
    def draw(rng, count):
        bound = np.array([20.0, 8.0, 3.0])
        return rng.uniform(-bound, bound, (count, 3))

    @staticmethod
    def action(action):
        return np.array([action])

    @staticmethod
    def policy(rng, episode, state):
        return rng.uniform(-3.0, 3.0)


class CartPole:
    name, gym_id, states, episodes = "cartpole", "CartPole-v1", 4, 200

    @staticmethod
    def draw(rng, count):
        bound = np.array([3.0, 5.0, 0.25, 5.0])
        rows = np.concatenate([rng.uniform(-bound, bound, (count, 4)),
                               rng.choice([-1.0, 1.0], (count, 1))], axis=1)
        rows[1::2, 2] = rng.uniform(-7.0, 7.0, rows[1::2, 2].shape)
        edge = 0
        for place, limit in ((0, 2.4), (2, 12 * 2 * np.pi / 360)):
            for sign in (-1.0, 1.0):
                for at in (limit, np.nextafter(limit, 9.0), np.nextafter(limit, 0.0)):
                    rows[edge, :4] = 0.0
                    rows[edge, place] = sign * at
                    edge += 1
        return rows

    @staticmethod
    def action(action):
        return int(action > 0)

    @staticmethod
    def policy(rng, episode, state):
        if episode % 2 == 0:
            return rng.choice([-1.0, 1.0])
        return 1.0 if state[2] + 0.3 * state[3] + 0.02 * state[0] + 0.05 * state[1] > 0 else -1.0


def transitions(env, kind, rng, count):
    """`count` calls of the environment's step, each from its own state."""
    n = kind.states
    rows = np.empty((count, 2 * n + 3 + env.observation_space.shape[0]))
    rows[:, :n + 1] = kind.draw(rng, count)
    for row in rows:
        env.state = row[:n].copy()
        env.steps_beyond_terminated = None
        obs, reward, terminated, truncated, _ = env.step(kind.action(row[n]))
        assert obs.dtype == np.float32 and not truncated
        row[n + 1:2 * n + 1] = env.state
        row[2 * n + 1:2 * n + 3] = reward, terminated
        row[2 * n + 3:] = obs
    return rows


def trajectories(env, kind, rng):
    """Whole episodes of the environment as gymnasium.make returns it, with its time limit."""
    rows = []
    for episode in range(kind.episodes):
        env.reset(seed=episode)
        state = np.array(env.unwrapped.state, dtype=np.float64)
        done, t = False, 0
        while not done:
            action = kind.policy(rng, episode, state)
            _, reward, terminated, truncated, _ = env.step(kind.action(action))
            after = np.array(env.unwrapped.state, dtype=np.float64)
            rows.append((episode, t, *state, action, reward, *after, terminated, truncated))
            state = after
            done, t = terminated or truncated, t + 1
    return np.array(rows, dtype=np.float64)


def write(path, rows):
    path.write_bytes(np.ascontiguousarray(rows).astype("<f8").tobytes())
    print(f"{path.name}: {rows.shape[0]} rows of {rows.shape[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("count", type=int, nargs="?", default=1000000, metavar="N")
    parser.add_argument("--sample", action="store_true", help="write the committed samples too")
    args = parser.parse_args()
    start = time.perf_counter()
    for kind in (Pendulum, CartPole):
        # The checker only warns about the float64 actions.
        env = gymnasium.make(kind.gym_id, disable_env_checker=True)
        env.reset(seed=0)
        rng = np.random.default_rng(20240601)
        episodes = trajectories(env, kind, rng)
        assert episodes[:, -1].sum() > 0, "no episode reaches its time limit"
        steps = transitions(env.unwrapped, kind, rng, args.count)
        write(args.out / f"{kind.name}.bin", steps)
        write(args.out / f"{kind.name}.traj.bin", episodes)
        if args.sample:
            here = pathlib.Path(__file__).parent
            write(here / f"{kind.name}_sample.bin", steps[:SAMPLE_ROWS])
            write(here / f"{kind.name}_traj_sample.bin", episodes[episodes[:, 0] < SAMPLE_EPISODES])
    print(f"gymnasium {gymnasium.__version__}, numpy {np.__version__}, "
          f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
