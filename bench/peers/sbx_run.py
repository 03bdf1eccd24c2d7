#!/usr/bin/env python3
"""DDPG and TD3 of SBX (sbx-rl: stable-baselines3's loop, updates in JAX), with Gymnasium's Pendulum-v1."""

import os

from common import main
from sb3 import TD3_DIFFERS, Sb3


class Sbx(Sb3):
    package = "sbx"

    def imports(self, task):
        os.environ.setdefault("JAX_PLATFORMS", task.device)
        self.device = "cpu"  # what stable-baselines3 itself holds; JAX has its own choice
        super().imports(task)

    def warm_up(self):
        """begin() does it, for each model."""

    def learning_rates(self):
        return {"learning_rate": self.values["actor_lr"], "qf_learning_rate": self.values["critic_lr"]}

    def begin(self, seed):
        """Its programs are compiled for one model each. So this one makes a few updates, and then its first
        weights, its random numbers and its empty buffer are put back."""
        super().begin(seed)
        model, policy = self.model, self.model.policy
        first = model.key, policy.key, policy.noise_key, policy.actor_state, policy.qf_state
        starts, model.learning_starts = model.learning_starts, self.values["batch"]
        self.train(self.values["batch"] + 6)
        model.learning_starts = starts
        model.key, policy.key, policy.noise_key, policy.actor_state, policy.qf_state = first
        model.replay_buffer.reset()
        model.num_timesteps = model._n_updates = model._episode_num = 0
        model._last_obs = None
        model.set_random_seed(seed)

    def train(self, steps):
        super().train(steps)
        self.model.policy.actor_state.params["params"]["Dense_0"]["bias"].block_until_ready()


class SbxTd3(Sbx):
    algorithm = "TD3"
    differs = TD3_DIFFERS


if __name__ == "__main__":
    main({"sbx-ddpg": Sbx, "sbx-td3": SbxTd3}, ("sbx-rl", "stable-baselines3", "jax", "gymnasium"))
