#!/usr/bin/env python3
"""TD3 of RLtools through the package rltools, which compiles its C++ (-O3 -march=native -ffast-math, with the
system's BLAS where there is one) for one set of values, with its own Pendulum in C++. Compiling counts as
set-up; it needs a C++ compiler and Python's headers."""

import os
import shutil
import tempfile

import numpy as np

import pendulum
from common import main

# What the package's C++ includes as the environment: RLtools' own Pendulum, as it is.
ENVIRONMENT = """
#include <rl_tools/rl/environments/pendulum/operations_cpu.h>
template <typename T, typename TI>
using ENVIRONMENT_FACTORY = rl_tools::rl::environments::Pendulum<
    rl_tools::rl::environments::pendulum::Specification<T, TI>>;
"""


class RlTools:
    algorithm = "TD3"
    differs = "TD3: two critics, smoothed targets, the actor and the targets every second update; -ffast-math"

    def __init__(self, task):
        self.values = values = task.values
        if values["actor_lr"] != values["critic_lr"] or values["activation"] != "relu" or \
                len(set(values["hidden"])) != 1:
            raise SystemExit("rltools has one learning rate and layers of one width, here with relu: the workload's "
                             "values must be such")
        if task.threads > 1:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", str(task.threads))
        self.folder = tempfile.mkdtemp(prefix="rltools-")  # its cache, so that it compiles each time
        tempfile.tempdir = self.folder
        from rltools import TD3
        with open(os.path.join(self.folder, "environment.h"), "w", encoding="utf-8") as file:
            file.write(ENVIRONMENT)
        steps = task.solve["steps"] if task.work == "solve" else values["steps"]
        layers = len(values["hidden"]) + 1
        try:
            self.module = TD3(
                {"path": self.folder, "action_dim": 1, "observation_dim": 3}, enable_evaluation=False,
                interface_name="race", GAMMA=values["gamma"], ACTOR_BATCH_SIZE=values["batch"],
                CRITIC_BATCH_SIZE=values["batch"], ACTOR_POLYAK=1 - values["tau"], CRITIC_POLYAK=1 - values["tau"],
                TARGET_NEXT_ACTION_NOISE_STD=values.get("target_sigma", 0.2),
                TARGET_NEXT_ACTION_NOISE_CLIP=values.get("target_clip", 0.5), N_ENVIRONMENTS=values["num_envs"],
                N_WARMUP_STEPS=values["warmup_steps"], STEP_LIMIT=steps, REPLAY_BUFFER_CAP=values["capacity"],
                ACTOR_HIDDEN_DIM=values["hidden"][0], ACTOR_NUM_LAYERS=layers,
                CRITIC_HIDDEN_DIM=values["hidden"][0], CRITIC_NUM_LAYERS=layers,
                EXPLORATION_NOISE=values["sigma"], OPTIMIZER_ALPHA=values["actor_lr"])
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self, seed):
        self.state = self.module.State(seed)

    def train(self, steps):
        for _ in range(steps):
            self.state.step()

    def policy(self):
        """The package acts on one observation at a time."""
        act = self.state.action
        return lambda obs: pendulum.MAX_TORQUE * np.array([act(one)[0] for one in obs])

    def check(self):
        """Its environment cannot be reached from Python; the returns are measured in ours."""


if __name__ == "__main__":
    main({"rltools-td3": RlTools}, ("rltools",))
