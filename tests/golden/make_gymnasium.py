#!/usr/bin/env python3
"""Writes what Gymnasium's Pendulum-v1 computes, for tests/gymnasium_test.cpp.

    python3 tests/golden/make_gymnasium.py OUT.bin [N]       N = 1000000 by default

Needs gymnasium (written against 1.4.0) and numpy. The files are rows of little-endian float64 without
a header:

  OUT.bin        N random transitions: theta, theta_dot, action, next theta, next theta_dot, reward,
                 and the three numbers of the next observation.
                 theta in +-20, theta_dot in +-8, action in +-3 (the bound is 2)
  OUT.traj.bin   100 whole episodes of 200 steps with random actions in +-3: episode, t, theta,
                 theta_dot, action, reward, next theta, next theta_dot, terminated, truncated

With `--sample` the first 2,000 rows and the first 4 episodes also go to pendulum_sample.bin and
pendulum_traj_sample.bin beside this script, where they are committed.

Gymnasium keeps the state in float64 and does all of step in the type of state and action; only the
observation is rounded to float32. Actions are float64 here, so that a transition is float64
throughout.
"""

import argparse
import pathlib
import time

import gymnasium
import numpy as np

EPISODES, SAMPLE_ROWS, SAMPLE_EPISODES = 100, 2000, 4


def transitions(env, rng, count):
    """`count` calls of PendulumEnv.step, each from its own state."""
    rows = np.empty((count, 9))
    bound = np.array([20.0, 8.0, 3.0])
    rows[:, :3] = rng.uniform(-bound, bound, (count, 3))
    for row in rows:
        env.state = row[:2]
        obs, reward, terminated, truncated, _ = env.step(row[2:3])
        assert env.state.dtype == np.float64 and obs.dtype == np.float32
        assert not terminated and not truncated
        row[3:5] = env.state
        row[5] = reward
        row[6:] = obs
    return rows


def trajectories(env, rng):
    """Whole episodes of the environment as gymnasium.make returns it, with its time limit."""
    rows = []
    for episode in range(EPISODES):
        env.reset(seed=episode)
        theta, theta_dot = env.unwrapped.state
        done, t = False, 0
        while not done:
            action = rng.uniform(-3.0, 3.0, 1)
            _, reward, terminated, truncated, _ = env.step(action)
            after = env.unwrapped.state
            assert after.dtype == np.float64
            rows.append((episode, t, theta, theta_dot, action[0], reward, *after, terminated,
                         truncated))
            theta, theta_dot = after
            done, t = terminated or truncated, t + 1
    return np.array(rows, dtype=np.float64)


def check(rows):
    """The equations as this project states them, against what Gymnasium gave."""
    theta, theta_dot, action = rows[:, :3].T
    torque = np.clip(action, -2.0, 2.0)
    angle = (theta + np.pi) % (2 * np.pi) - np.pi
    speed = np.clip(theta_dot + (15.0 * np.sin(theta) + 3.0 * torque) * 0.05, -8.0, 8.0)
    after = theta + speed * 0.05
    reward = -(angle**2 + 0.1 * theta_dot**2 + 0.001 * torque**2)
    obs = np.stack([np.cos(after), np.sin(after), speed], axis=1)
    for got, want, tolerance in ((rows[:, 3], after, 1e-13), (rows[:, 4], speed, 1e-13),
                                 (rows[:, 5], reward, 1e-13), (rows[:, 6:], obs, 2.0**-24 + 1e-12)):
        error = np.max(np.abs(got - want) / np.maximum(1.0, np.abs(want)))
        assert error <= tolerance, (error, tolerance)


def write(path, rows):
    path.write_bytes(np.ascontiguousarray(rows).astype("<f8").tobytes())
    print(f"{path.name}: {rows.shape[0]} rows of {rows.shape[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, metavar="OUT.bin")
    parser.add_argument("count", type=int, nargs="?", default=1000000, metavar="N")
    parser.add_argument("--sample", action="store_true", help="write the committed samples too")
    args = parser.parse_args()

    # The checker only warns about the float64 actions.
    env = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    env.reset(seed=0)
    rng = np.random.default_rng(20240601)
    start = time.perf_counter()
    episodes = trajectories(env, rng)
    assert len(episodes) == EPISODES * 200
    steps = transitions(env.unwrapped, rng, args.count)
    check(steps)
    write(args.out, steps)
    write(args.out.with_suffix(".traj.bin"), episodes)
    if args.sample:
        here = pathlib.Path(__file__).parent
        write(here / "pendulum_sample.bin", steps[:SAMPLE_ROWS])
        write(here / "pendulum_traj_sample.bin", episodes[episodes[:, 0] < SAMPLE_EPISODES])
    print(f"gymnasium {gymnasium.__version__}, numpy {np.__version__}, "
          f"{time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
