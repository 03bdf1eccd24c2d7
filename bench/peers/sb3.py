#!/usr/bin/env python3
"""DDPG and TD3 of stable-baselines3, with Gymnasium's Pendulum-v1. TD3 is not equal work: two critics, the
actor every second update. Its action noise is in units of the action bound already."""

import time

from common import main

TD3_DIFFERS = "TD3: two critics, smoothed targets, the actor every second update"


class Sb3:
    """sbx_run.py has the same arguments for SBX."""
    algorithm = "DDPG"
    package = "stable_baselines3"

    def __init__(self, task):
        import importlib
        self.values, self.device, self.model = task.values, task.device, None
        self.imports(task)
        self.kind = getattr(importlib.import_module(self.package), self.algorithm)
        self.warm_up()

    def warm_up(self):
        """The first calls set up threads and memory; nobody would wait for these steps."""
        begin = time.perf_counter()
        self.begin(0)
        self.train(min(self.values["warmup_steps"], 100) + 20)
        self.uncounted = time.perf_counter() - begin

    def imports(self, task):
        import torch
        torch.set_num_threads(task.threads)

    def learning_rates(self):
        if self.values["actor_lr"] != self.values["critic_lr"]:
            raise SystemExit("stable-baselines3 has one learning rate: the workload's must be the same")
        return {"learning_rate": self.values["actor_lr"]}

    def begin(self, seed):
        import gymnasium
        import numpy as np
        from stable_baselines3.common.noise import NormalActionNoise
        values = self.values
        self.model = self.kind(
            "MlpPolicy", gymnasium.make("Pendulum-v1"), buffer_size=values["capacity"], batch_size=values["batch"],
            learning_starts=values["warmup_steps"], tau=values["tau"], gamma=values["gamma"], train_freq=1,
            gradient_steps=1, action_noise=NormalActionNoise(np.zeros(1), np.full(1, values["sigma"])),
            policy_kwargs={"net_arch": list(values["hidden"])}, seed=seed, device=self.device,
            **self.learning_rates())

    def train(self, steps):
        self.model.learn(steps, log_interval=10**9, reset_num_timesteps=self.model.num_timesteps == 0)

    def policy(self):
        return lambda obs: self.model.predict(obs, deterministic=True)[0]

    def check(self):
        """Its environment is Gymnasium's, which main() compares with ours."""


class Sb3Td3(Sb3):
    algorithm = "TD3"
    differs = TD3_DIFFERS


if __name__ == "__main__":
    main({"sb3-ddpg": Sb3, "sb3-td3": Sb3Td3}, ("stable-baselines3", "torch", "gymnasium"))
