#!/usr/bin/env python3
"""Pendulum-v1 of EnvPool with random actions. sync: all environments step together; async: a third of them
is in a batch, while the others are under way, as its README recommends."""

import numpy as np

from common import TooMany, main


class EnvPool:
    modes = ("sync", "async")
    differs = "no ring is written; the actions are drawn before; it integrates theta with the velocity before " \
              "its bound"

    def __init__(self, task):
        global envpool
        import envpool
        self.threads = task.threads

    def stepper(self, num_envs, mode):
        batch = num_envs if mode == "sync" else max(1, num_envs // 3)
        if mode == "async" and batch == num_envs:
            raise TooMany("one environment leaves nothing to go on meanwhile")
        pool = envpool.make_gymnasium("Pendulum-v1", num_envs=num_envs, batch_size=batch,
                                      num_threads=self.threads, seed=1)
        steps = max(1, 2000 // batch)
        actions = np.random.default_rng(0).uniform(-2, 2, (steps, batch, 1)).astype(np.float32)
        if mode == "sync":
            pool.reset()

            def advance():
                for action in actions:
                    pool.step(action)
                return steps * batch
        else:
            pool.async_reset()

            def advance():
                for action in actions:
                    pool.send(action, pool.recv()[-1]["env_id"])
                return steps * batch
        return advance

    def check(self):
        """It is known to differ where the velocity meets its bound, and says so; else it is Gymnasium's."""


if __name__ == "__main__":
    main({"envpool": EnvPool}, ("envpool", "gymnasium"))
