#!/usr/bin/env python3
"""Pendulum-v1 of gymnax with random actions: jit, a scan over steps of vmap over environments."""

import os

import numpy as np

import pendulum
from common import main


class Gymnax:
    differs = "no ring is written; each step draws a new episode's start, used or not"

    def __init__(self, task):
        global jax, jnp
        os.environ.setdefault("JAX_PLATFORMS", task.device)
        import gymnax
        import jax
        from jax import numpy as jnp
        self.one, self.parameters = gymnax.make("Pendulum-v1")

    def stepper(self, num_envs, _mode):
        many, parameters = jax.vmap(self.one.step, in_axes=(0, 0, 0, None)), self.parameters
        keys = jax.random.split(jax.random.key(0), num_envs)
        _, state = jax.jit(jax.vmap(self.one.reset, in_axes=(0, None)))(keys, parameters)

        steps = max(100, 10_000 // num_envs)  # of one call

        def step(carry, key):
            state, total = carry
            action_key, step_key = jax.random.split(key)
            actions = jax.random.uniform(action_key, (num_envs, 1), minval=-2, maxval=2)
            obs, state, reward, *_ = many(jax.random.split(step_key, num_envs), state, actions, parameters)
            return (state, total + reward + obs.sum(-1)), None  # all of it is used, so that none is left out

        @jax.jit
        def block(state, key):
            key, mine = jax.random.split(key)
            (state, total), _ = jax.lax.scan(step, (state, jnp.zeros(num_envs)), jax.random.split(mine, steps))
            return state, key, total

        self.carry = state, jax.random.key(1)

        def advance():
            *self.carry, total = block(*self.carry)
            total.block_until_ready()
            return steps * num_envs
        return advance

    def check(self):
        state_of = self.one.reset(jax.random.key(0), self.parameters)[1]

        def start(theta, speed):
            like = state_of.replace(theta=0.0, theta_dot=0.0)
            return [like.replace(theta=jnp.float32(a), theta_dot=jnp.float32(b)) for a, b in zip(theta, speed)]

        def advance(states, torque):
            step = jax.jit(self.one.step_env)
            done = [step(jax.random.key(0), state, jnp.full(1, one, jnp.float32), self.parameters)
                    for state, one in zip(states, torque)]
            return None, np.stack([one[0] for one in done]), np.stack([one[2] for one in done])

        pendulum.check("gymnax", start, advance, count=8, steps=20)


if __name__ == "__main__":
    main({"gymnax": Gymnax}, ("gymnax", "jax"))
