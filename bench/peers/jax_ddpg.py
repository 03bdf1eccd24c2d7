#!/usr/bin/env python3
"""DDPG in JAX alone, float32: environment, ring and update in one jit, a lax.scan over the steps, vmap over
the agents of a population; ours, written to be fast. Random numbers of a chunk are drawn at once, before its
scan."""

import functools
import math

import pendulum
from common import main

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def import_jax(task):
    global jax, jnp
    import os
    os.environ.setdefault("JAX_PLATFORMS", task.device)
    import jax
    from jax import numpy as jnp


def step_pendulum(state, action):
    """(next state (2), reward) for an action in units of the action bound. state: theta, theta_dot."""
    theta, speed = state[..., 0], state[..., 1]
    torque = pendulum.MAX_TORQUE * action
    angle = jnp.mod(theta + math.pi, 2 * math.pi) - math.pi
    reward = -(angle * angle + 0.1 * speed * speed + 0.001 * torque * torque)
    speed = speed + (15 * jnp.sin(theta) + 3 * torque) * pendulum.DT
    speed = jnp.clip(speed, -pendulum.MAX_SPEED, pendulum.MAX_SPEED)
    return jnp.stack((theta + speed * pendulum.DT, speed), -1), reward


def observe(state):
    theta, speed = state[..., 0], state[..., 1]
    return jnp.stack((jnp.cos(theta), jnp.sin(theta), speed), -1)


def fresh(uniform):
    """The state of a new episode for two numbers in [-1, 1)."""
    return uniform * jnp.array([math.pi, 1.0])


def network(key, sizes):
    """[(weight (in, out), bias (out)), ...], with torch.nn.Linear's first weights."""
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        key, one, two = jax.random.split(key, 3)
        bound = 1 / math.sqrt(inputs)
        layers.append((jax.random.uniform(one, (inputs, outputs), minval=-bound, maxval=bound),
                       jax.random.uniform(two, (outputs,), minval=-bound, maxval=bound)))
    return layers


def mlp(layers, x):
    *hidden, (weight, bias) = layers
    for w, b in hidden:
        x = jax.nn.relu(x @ w + b)
    return x @ weight + bias


def adam(weights, moments, gradients, rate, count):
    def one(w, m, v, g):
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g * g
        scale = jnp.sqrt(v / (1 - BETA2**count)) + EPSILON
        return w - rate * m / (1 - BETA1**count) / scale, m, v

    leaves, shape = jax.tree.flatten(weights)
    new = [one(*of) for of in zip(leaves, *map(jax.tree.leaves, (*moments, gradients)))]
    weights, *moments = (jax.tree.unflatten(shape, part) for part in zip(*new))
    return weights, moments


class Agent:
    algorithm = "DDPG"

    def __init__(self, task):
        import_jax(task)
        self.values, self.agents = task.values, task.agents
        compiled = {}
        self.create = jax.jit(self.over_agents(self.new))
        example = jax.eval_shape(self.create, self.keys(0))
        done = 0
        for chunk in task.chunks:
            warmup = max(0, min(chunk, self.values["warmup_steps"] - done))
            done += chunk
            # The count of steps is one for all agents, so that their rings are written at one place.
            function = jax.jit(self.over_agents(functools.partial(self.run, warmup, chunk), 1), donate_argnums=0)
            compiled[chunk, warmup] = function.lower(example, jnp.zeros((), jnp.int32)).compile()
        self.compiled = compiled
        self.act = jax.jit(lambda actor, obs: pendulum.MAX_TORQUE * jnp.tanh(mlp(actor, obs)))

    def over_agents(self, function, shared=0):
        """vmap, but for one agent: over an axis of 1 the loop takes an eighth longer."""
        if self.agents > 1:
            return jax.vmap(function, in_axes=(0,) + (None,) * shared)

        def one(agent, *rest):
            agent = function(jax.tree.map(lambda leaf: leaf[0], agent), *rest)
            return jax.tree.map(lambda leaf: leaf[None], agent)
        return one

    def keys(self, seed):
        return jax.random.split(jax.random.key(seed), self.agents)

    def new(self, key):
        actor_key, critic_key, state_key, key = jax.random.split(key, 4)
        hidden = self.values["hidden"]
        weights = {"actor": network(actor_key, [3, *hidden, 1]), "critic": network(critic_key, [4, *hidden, 1])}
        zeros = jax.tree.map(jnp.zeros_like, weights)
        return {"weights": weights, "targets": jax.tree.map(jnp.copy, weights), "mean": zeros,
                "square": jax.tree.map(jnp.zeros_like, weights), "key": key,
                "ring": jnp.zeros((self.values["capacity"], 8)),  # obs, action, reward, next obs
                "state": fresh(jax.random.uniform(state_key, (2,), minval=-1))}

    def run(self, warmup, steps, agent, done):
        """`steps` steps after `done` others, of which the first `warmup` are random and without updates."""
        for count, learn in ((warmup, False), (steps - warmup, True)):
            if not count:
                continue
            key, *keys = jax.random.split(agent["key"], 4)
            noise = jax.random.normal(keys[0], (count,)) if learn else \
                jax.random.uniform(keys[0], (count,), minval=-1)
            index = jax.random.uniform(keys[1], (count, self.values["batch"] if learn else 0))
            resets = jax.random.uniform(keys[2], (count, 2), minval=-1)
            agent = {**agent, "key": key}
            agent, _ = jax.lax.scan(functools.partial(self.step, learn), agent,
                                    (noise, index, resets, done + jnp.arange(count)))
            done = done + count
        return agent

    def step(self, learn, agent, random):
        noise, index, reset, done = random
        capacity = self.values["capacity"]
        obs = observe(agent["state"])
        action = noise
        if learn:
            action = jnp.tanh(mlp(agent["weights"]["actor"], obs))[0] + self.values["sigma"] * noise
            action = jnp.clip(action, -1, 1)
        state, reward = step_pendulum(agent["state"], action)
        record = jnp.concatenate((obs, action[None], reward[None], observe(state)))
        ring = jax.lax.dynamic_update_slice(agent["ring"], record[None], (done % capacity, 0))
        done = done + 1
        state = jnp.where(done % pendulum.STEPS == 0, fresh(reset), state)
        agent = {**agent, "ring": ring, "state": state}
        if learn:
            filled = jnp.minimum(done, capacity)
            rows = jnp.minimum((index * filled).astype(jnp.int32), filled - 1)
            agent = self.update(agent, ring[rows], done - self.values["warmup_steps"])
        return agent, None

    def update(self, agent, batch, count):
        """One update of both networks. Pendulum never terminates: every y bootstraps."""
        weights, targets = agent["weights"], agent["targets"]
        obs, next_obs = batch[:, :3], batch[:, 5:]
        next_action = jnp.tanh(mlp(targets["actor"], next_obs))
        next_q = mlp(targets["critic"], jnp.concatenate((next_obs, next_action), 1))
        y = batch[:, 4:5] + self.values["gamma"] * next_q

        def critic_loss(critic):
            return jnp.mean((mlp(critic, batch[:, :4]) - y)**2)

        gradient = jax.grad(critic_loss)(weights["critic"])
        new, moments = {}, {}
        new["critic"], moments["critic"] = adam(
            weights["critic"], (agent["mean"]["critic"], agent["square"]["critic"]), gradient,
            self.values["critic_lr"], count)

        def actor_loss(actor):
            return -jnp.mean(mlp(new["critic"], jnp.concatenate((obs, jnp.tanh(mlp(actor, obs))), 1)))

        gradient = jax.grad(actor_loss)(weights["actor"])
        new["actor"], moments["actor"] = adam(
            weights["actor"], (agent["mean"]["actor"], agent["square"]["actor"]), gradient,
            self.values["actor_lr"], count)
        tau = self.values["tau"]
        return {**agent, "weights": new, "targets": jax.tree.map(lambda t, w: t + tau * (w - t), targets, new),
                "mean": {name: of[0] for name, of in moments.items()},
                "square": {name: of[1] for name, of in moments.items()}}

    def begin(self, seed):
        self.agent = jax.block_until_ready(self.create(self.keys(seed)))
        self.done = 0

    def train(self, steps):
        warmup = max(0, min(steps, self.values["warmup_steps"] - self.done))
        self.agent = jax.block_until_ready(self.compiled[steps, warmup](self.agent, jnp.int32(self.done)))
        self.done += steps

    def policies(self):
        return [functools.partial(self.act, jax.tree.map(lambda x, k=k: x[k], self.agent["weights"]["actor"]))
                for k in range(self.agents)]

    def policy(self):
        return self.policies()[0]

    def check(self):
        def advance(state, torque):
            state, reward = step_pendulum(state, jnp.clip(jnp.asarray(torque, jnp.float32), -2, 2) / 2)
            return state, observe(state), reward

        pendulum.check("jax", lambda theta, speed: jnp.stack((theta, speed), -1).astype(jnp.float32), advance)


class WithEnvironments(Agent):
    def stepper(self, num_envs, _mode):
        """Whole episodes of each environment."""
        episodes = max(1, 50 // num_envs)
        steps = pendulum.STEPS

        def one(total, keys):
            actions = jax.random.uniform(keys, (num_envs,), minval=-1)
            state, reward = step_pendulum(total[0], actions)
            return (state, total[1] + reward + observe(state).sum(-1)), None

        def episode(key):
            first, mine, key = jax.random.split(key, 3)
            state = fresh(jax.random.uniform(first, (num_envs, 2), minval=-1))
            return jax.lax.scan(one, (state, jnp.zeros(num_envs)), jax.random.split(mine, steps))[0][1], key

        @jax.jit
        def block(key):
            return jax.lax.fori_loop(0, episodes, lambda _, of: episode(of[1]), (jnp.zeros(num_envs), key))

        self.key = jax.random.key(0)

        def advance():
            total, self.key = block(self.key)
            total.block_until_ready()
            return episodes * steps * num_envs
        return advance


if __name__ == "__main__":
    main({"jax": WithEnvironments}, ("jax", "jaxlib"))
