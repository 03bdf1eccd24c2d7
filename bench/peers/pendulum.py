"""Pendulum-v1 in NumPy, many episodes at once: the judge of every peer's policy (README.md beside it).

Gymnasium's dynamics: g 10, m 1, l 1, dt 0.05; the cost is that of the state before the step; 200 steps,
never terminated. check_against_gymnasium() compares where Gymnasium is installed.
"""

import numpy as np

MAX_TORQUE = 2.0  # N m: the action bound
MAX_SPEED = 8.0  # rad/s
DT = 0.05  # s
STEPS = 200  # of an episode


def reset(count, generator):
    """States of `count` new episodes: theta and theta_dot, each (count)."""
    return generator.uniform(-np.pi, np.pi, count), generator.uniform(-1, 1, count)


def observe(theta, speed):
    """(count, 3) float32, as Gymnasium gives it."""
    return np.stack((np.cos(theta), np.sin(theta), speed), axis=1).astype(np.float32)


def step(theta, speed, torque):
    """(theta, theta_dot, reward) after `torque` (count), N m. theta is never wrapped."""
    torque = np.clip(torque, -MAX_TORQUE, MAX_TORQUE)
    angle = (theta + np.pi) % (2 * np.pi) - np.pi
    reward = -(angle**2 + 0.1 * speed**2 + 0.001 * torque**2)
    speed = np.clip(speed + (15 * np.sin(theta) + 3 * torque) * DT, -MAX_SPEED, MAX_SPEED)
    return theta + speed * DT, speed, reward


def evaluate(policy, episodes, seed):
    """The mean return of `episodes` episodes. policy: observations (n, 3) to torques (n) or (n, 1), N m.
    NaN where the policy's actions are none."""
    theta, speed = reset(episodes, np.random.default_rng(seed))
    returns = np.zeros(episodes)
    for _ in range(STEPS):
        torque = np.asarray(policy(observe(theta, speed)), dtype=np.float64).reshape(episodes)
        theta, speed, reward = step(theta, speed, torque)
        returns += reward
    return float(returns.mean())


def check(name, start, advance, tolerance=1e-4, count=64, steps=100):
    """Fails where another Pendulum steps otherwise. start(theta, speed) gives its states, advance(states,
    torque) its (states, observations, rewards), arrays all. The tolerance is float32's over one step."""
    generator = np.random.default_rng(0)
    theta, speed = reset(count, generator)
    speed *= MAX_SPEED  # so that the bound of the velocity is met too
    for _ in range(steps):
        torque = generator.uniform(-2.5, 2.5, count)
        states = start(theta, speed)
        _, observations, rewards = advance(states, torque)
        theta, speed, reward = step(theta, speed, torque)
        for what, got, wanted in (("an observation", observations, observe(theta, speed)),
                                  ("a reward", rewards, reward)):
            got = np.asarray(got, dtype=np.float64).reshape(wanted.shape)
            difference = np.abs(got - wanted).max()
            if not difference <= tolerance * max(1.0, np.abs(wanted).max()):  # a NaN fails
                raise ValueError(f"{name}: {what} differs by {difference:.3g} from Pendulum-v1's "
                                 f"(tolerance {tolerance:g}, relative); its speed would say nothing")


def check_against_gymnasium():
    """Whether Gymnasium is here; fails where its Pendulum-v1 steps otherwise than this one."""
    try:
        from gymnasium.envs.classic_control.pendulum import PendulumEnv
    except ImportError:
        return False
    environment = PendulumEnv()
    environment.reset(seed=0)

    def advance(states, torque):
        pairs = []
        for state, one in zip(states, torque):
            environment.state = np.array(state)
            pairs.append(environment.step(np.array([one]))[:2])
        return None, np.stack([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])

    check("gymnasium", lambda theta, speed: np.stack((theta, speed), axis=1), advance, count=8, steps=50)
    return True
