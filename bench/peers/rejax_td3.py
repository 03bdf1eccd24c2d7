#!/usr/bin/env python3
"""TD3 of rejax, on gymnax's Pendulum-v1. Its train() runs whole trainings with its own evaluations; here it
runs one chunk of steps at a time without them, from the state that the chunk before left."""

import os

import numpy as np

import pendulum
from common import main


class Rejax:
    algorithm = "TD3"
    differs = "TD3: two critics, smoothed targets, actor and targets every second update; it takes truncation " \
              "for termination"

    def __init__(self, task):
        global jax, jnp
        os.environ.setdefault("JAX_PLATFORMS", task.device)
        import jax
        import rejax
        from jax import numpy as jnp
        values = task.values
        if values["actor_lr"] != values["critic_lr"]:
            raise SystemExit("rejax has one learning rate: the workload's must be the same")
        if tuple(values["hidden"]) != (64, 64):
            raise SystemExit("rejax has networks of two hidden layers of 64 units: the workload's must be these")
        bound = pendulum.MAX_TORQUE  # its noise is in N m
        self.create, self.compiled = None, {}
        for chunk in task.chunks:
            self.agent = rejax.TD3.create(
                env="Pendulum-v1", num_envs=values["num_envs"], buffer_size=values["capacity"],
                fill_buffer=values["warmup_steps"], batch_size=values["batch"], num_epochs=1,
                learning_rate=values["actor_lr"], gamma=values["gamma"], polyak=1 - values["tau"],
                exploration_noise=bound * values["sigma"], target_noise=bound * values.get("target_sigma", 0.2),
                target_noise_clip=bound * values.get("target_clip", 0.5), policy_delay=2,
                max_grad_norm=values.get("max_grad_norm", np.inf),
                normalize_observations=values.get("normalize_observations", False),
                actor_kwargs={"activation": values["activation"]},
                critic_kwargs={"activation": values["activation"]},
                total_timesteps=chunk, eval_freq=chunk, skip_initial_evaluation=True)
            agent = self.agent.replace(eval_callback=lambda *_: ())

            def run(state, agent=agent):
                return agent.train(train_state=state)[0]

            if self.create is None:  # once: a new trace has a new class of states
                self.create = jax.jit(agent.init_state)
            self.compiled[chunk] = jax.jit(run).lower(self.create(jax.random.PRNGKey(0))).compile()
        self.act = jax.jit(lambda state, obs: jax.vmap(
            lambda one: self.agent.make_act(state)(one, None))(obs))

    def begin(self, seed):
        self.state = jax.block_until_ready(self.create(jax.random.PRNGKey(seed)))

    def train(self, steps):
        self.state = jax.block_until_ready(self.compiled[steps](self.state))

    def policy(self):
        return lambda obs: self.act(self.state, jnp.asarray(obs))

    def check(self):
        one, parameters = self.agent.env, self.agent.env_params
        one = getattr(one, "env", one)  # under what makes observations floats
        like = one.reset(jax.random.PRNGKey(0), parameters)[1]

        def start(theta, speed):
            return [like.replace(theta=jnp.float32(a), theta_dot=jnp.float32(b)) for a, b in zip(theta, speed)]

        def advance(states, torque):
            step = jax.jit(one.step_env)
            done = [step(jax.random.PRNGKey(0), state, jnp.full(1, one_torque, jnp.float32), parameters)
                    for state, one_torque in zip(states, torque)]
            return None, np.stack([one[0] for one in done]), np.stack([one[2] for one in done])

        pendulum.check("gymnax", start, advance, count=8, steps=20)


if __name__ == "__main__":
    main({"rejax-td3": Rejax}, ("rejax", "gymnax", "jax"))
