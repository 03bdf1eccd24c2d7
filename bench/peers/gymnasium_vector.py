#!/usr/bin/env python3
"""Pendulum-v1 of Gymnasium with random actions, in its vector environments: one process (sync), and one
process per environment (async)."""

from common import TooMany, main


class Gymnasium:
    modes = ("sync", "async")
    differs = "no ring is written; the actions are drawn before"

    def __init__(self, task):
        self.most = task.env["most_processes"]

    def stepper(self, num_envs, mode):
        import gymnasium
        import numpy as np
        if num_envs > (self.most if mode == "async" else 64 * self.most):
            raise TooMany(f"{num_envs} environments are {num_envs} " + (
                "processes" if mode == "async" else "calls of Python per step") + "; not tried")
        kind = gymnasium.vector.AsyncVectorEnv if mode == "async" else gymnasium.vector.SyncVectorEnv
        environments = kind([lambda: gymnasium.make("Pendulum-v1")] * num_envs)
        environments.reset(seed=0)
        steps = max(1, 1000 // num_envs)
        actions = np.random.default_rng(0).uniform(-2, 2, (steps, num_envs, 1)).astype(np.float32)

        def advance():
            for action in actions:
                environments.step(action)
            return steps * num_envs
        advance.close = environments.close
        return advance

    def check(self):
        """main() compares Gymnasium's Pendulum with ours."""


if __name__ == "__main__":
    main({"gymnasium": Gymnasium}, ("gymnasium", "numpy"))
