#!/usr/bin/env python3
"""DDPG in PyTorch, environment and ring on the device as tensors too; ours, written to be fast.

torch-eager: weights of both networks lie in one tensor, so that Adam and the soft update are a few calls;
that took about a seventh less time than torch.optim.Adam(fused=True) with torch._foreach_lerp_ on a CPU.
torch-compile: a whole step in torch.compile, twice to three times as fast on a CPU after half a minute of
compiling. torch-cuda-graph: a whole step in a CUDA graph.
"""

import atexit
import math
import os
import shutil
import tempfile
import time

import pendulum
from common import main

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def import_torch(task):
    global torch, functional
    import torch
    from torch.nn import functional
    torch.set_num_threads(task.threads)
    if task.device == "cuda":
        if not torch.cuda.is_available():
            raise SystemExit("torch: this build of PyTorch sees no GPU; --device cpu runs without one")
        torch.set_float32_matmul_precision("high")  # TF32, as ours and JAX's are by default


def step_pendulum(state, action):
    """(next state, reward) for actions (n, 1) in units of the action bound. state: theta, theta_dot, (n, 2)."""
    theta, speed = state[:, :1], state[:, 1:]
    torque = pendulum.MAX_TORQUE * action
    angle = torch.remainder(theta + math.pi, 2 * math.pi) - math.pi
    reward = -(angle * angle + 0.1 * speed * speed + 0.001 * torque * torque)
    speed = (speed + (15 * torch.sin(theta) + 3 * torque) * pendulum.DT)
    speed = speed.clamp(-pendulum.MAX_SPEED, pendulum.MAX_SPEED)
    return torch.cat((theta + speed * pendulum.DT, speed), 1), reward


def observe(state):
    theta = state[:, :1]
    return torch.cat((torch.cos(theta), torch.sin(theta), state[:, 1:]), 1)


def mlp(layers, x):
    *hidden, (weight, bias) = layers
    for w, b in hidden:
        x = torch.relu(functional.linear(x, w, b))
    return functional.linear(x, weight, bias)


class Eager:
    algorithm = "DDPG"

    def __init__(self, task):
        import_torch(task)
        self.device, self.values = task.device, task.values
        hidden = self.values["hidden"]
        sizes = [[3, *hidden, 1], [4, *hidden, 1]]  # actor, critic
        self.shapes = [[((o, i), (o,)) for i, o in zip(of, of[1:])] for of in sizes]
        self.actor_size = sum(o * i + o for i, o in zip(sizes[0], sizes[0][1:]))
        self.warm_up()

    def warm_up(self):
        """The first calls set up threads and memory; nobody would wait for these steps."""
        begin = time.perf_counter()
        self.begin(0)
        self.train(self.values["warmup_steps"] + 50)
        self.uncounted = time.perf_counter() - begin

    def layers(self, flat):
        """([(weight, bias), ...] of the actor, of the critic), views of `flat`."""
        networks, at = [], 0
        for shapes in self.shapes:
            network = []
            for (o, i), _ in shapes:
                network.append((flat[at:at + o * i].view(o, i), flat[at + o * i:at + o * i + o]))
                at += o * i + o
            networks.append(network)
        return networks

    def begin(self, seed):
        torch.manual_seed(seed)
        parts = []
        for network in self.shapes:
            for (o, i), _ in network:  # torch.nn.Linear's first weights
                parts.append((torch.rand(o * i + o, device=self.device) * 2 - 1) / math.sqrt(i))
        self.weights = torch.cat(parts)
        self.targets = self.weights.clone()
        self.mean, self.square = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.ring = torch.zeros(self.values["capacity"], 8, device=self.device)  # obs, action, reward, next obs
        self.state = self.fresh(1)
        self.steps = 0
        self.prepare()

    def prepare(self):
        self.updates = 0
        self.actor, self.critic = self.layers(self.weights)
        self.actor_target, self.critic_target = self.layers(self.targets)
        for weight_bias in self.actor + self.critic:
            for one in weight_bias:
                one.requires_grad_()

    def fresh(self, count):
        state = torch.rand(count, 2, device=self.device) * 2 - 1
        return state * torch.tensor([math.pi, 1.0], device=self.device)

    def train(self, steps):
        warmup = max(0, min(steps, self.values["warmup_steps"] - self.steps))
        with torch.no_grad():
            for i in range(steps):
                self.step(i >= warmup)
        self.wait()

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def step(self, learn):
        position = self.steps % self.values["capacity"]
        self.steps += 1
        self.ring[position] = self.transition(learn)
        if self.steps % pendulum.STEPS == 0:
            self.state = self.fresh(1)
        if learn:
            filled = min(self.steps, self.values["capacity"])
            self.updates += 1
            self.update(self.draw(filled), self.updates)

    def draw(self, filled):
        return torch.randint(filled, (self.values["batch"],), device=self.device)

    def transition(self, learn):
        """Steps the environment; the record (8) for the ring."""
        obs = observe(self.state)
        if learn:
            noise = self.values["sigma"] * torch.randn(1, 1, device=self.device)
            action = (torch.tanh(mlp(self.actor, obs)) + noise).clamp_(-1, 1)
        else:
            action = torch.rand(1, 1, device=self.device) * 2 - 1
        self.state, reward = step_pendulum(self.state, action)
        return torch.cat((obs, action, reward, observe(self.state)), 1)[0]

    def gradient(self, loss, network):
        with torch.enable_grad():
            tensors = [one for weight_bias in network for one in weight_bias]
            return torch.cat([g.view(-1) for g in torch.autograd.grad(loss(network), tensors)])

    def update(self, index, count):
        """One update of both networks. Pendulum never terminates: every y bootstraps."""
        batch = self.ring[index]
        obs, next_obs = batch[:, :3], batch[:, 5:]
        next_action = torch.tanh(mlp(self.actor_target, next_obs))
        next_q = mlp(self.critic_target, torch.cat((next_obs, next_action), 1))
        y = batch[:, 4:5] + self.values["gamma"] * next_q

        def critic_loss(critic):
            return functional.mse_loss(mlp(critic, batch[:, :4]), y)

        gradient = self.gradient(critic_loss, self.critic)
        self.adam(slice(self.actor_size, None), gradient, self.values["critic_lr"], count)

        def actor_loss(actor):
            return -mlp(self.critic, torch.cat((obs, torch.tanh(mlp(actor, obs))), 1)).mean()

        gradient = self.gradient(actor_loss, self.actor)
        self.adam(slice(0, self.actor_size), gradient, self.values["actor_lr"], count)
        self.targets.lerp_(self.weights, self.values["tau"])

    def adam(self, part, gradient, rate, count):
        mean, square = self.mean[part], self.square[part]
        mean.lerp_(gradient, 1 - BETA1)
        square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        scale = square.sqrt().div_((1 - BETA2**count)**0.5).add_(EPSILON)
        self.weights[part].sub_((mean / scale).mul_(rate / (1 - BETA1**count)))

    def policy(self):
        actor = self.layers(self.weights.detach().cpu())[0]

        def act(obs):
            with torch.no_grad():
                return pendulum.MAX_TORQUE * torch.tanh(mlp(actor, torch.from_numpy(obs))).numpy()
        return act

    def check(self):
        def advance(state, torque):
            bound = torch.from_numpy(torque).float().clamp(-2, 2).view(-1, 1) / pendulum.MAX_TORQUE
            state, reward = step_pendulum(state, bound)
            return state, observe(state).numpy(), reward.numpy()

        def start(theta, speed):
            return torch.stack((torch.from_numpy(theta), torch.from_numpy(speed)), 1).float()

        pendulum.check("torch", start, advance)


class Tensors(Eager):
    """The same step without a number of Python's in it, so that it can be recorded."""

    def prepare(self):
        self.updates = torch.zeros((), device=self.device)
        self.done = torch.zeros(1, dtype=torch.int64, device=self.device)  # steps
        self.bound = torch.tensor([math.pi, 1.0], device=self.device)

    def fresh(self, count):
        bound = getattr(self, "bound", None)
        return super().fresh(count) if bound is None else (torch.rand(1, 2, device=self.device) * 2 - 1) * bound

    def train(self, steps):
        warmup = max(0, min(steps, self.values["warmup_steps"] - self.steps))
        self.steps += steps
        with torch.no_grad():
            for i in range(steps):
                self.record(i >= warmup)
        self.wait()

    def warm_up(self):
        """Here it compiles, or records, and that counts."""
        super().warm_up()
        self.uncounted = 0.0

    def step(self, learn):
        capacity, state = self.values["capacity"], self.state
        self.actor, self.critic = self.layers(self.weights)
        self.actor_target, self.critic_target = self.layers(self.targets)
        record = self.transition(learn)
        self.ring.index_copy_(0, self.done % capacity, record[None])
        self.done.add_(1)
        over = self.done % pendulum.STEPS == 0
        state.copy_(torch.where(over, self.fresh(1), self.state))
        self.state = state
        if learn:
            self.updates.add_(1)
            filled = self.done.clamp(max=capacity)
            index = (torch.rand(self.values["batch"], device=self.device) * filled).long()
            self.update(torch.minimum(index, filled - 1), self.updates)


class Compiled(Tensors):
    def __init__(self, task):
        cache = tempfile.mkdtemp(prefix="inductor-")  # its own: what an earlier run compiled would be found
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        import_torch(task)
        self.compiled = torch.compile(self.step, dynamic=False)
        super().__init__(task)

    def record(self, learn):
        self.compiled(learn)

    def gradient(self, loss, network):
        gradients = torch.func.grad(loss)(network)
        return torch.cat([one.view(-1) for weight_bias in gradients for one in weight_bias])


class CudaGraph(Tensors):
    def __init__(self, task):
        import_torch(task)
        if task.device != "cuda":
            raise SystemExit("torch-cuda-graph: it needs a GPU; say --device cuda")
        self.graphs = {}
        super().__init__(task)

    def gradient(self, loss, network):
        with torch.enable_grad():
            tensors = [[one.detach().requires_grad_() for one in weight_bias] for weight_bias in network]
            flat = [one for weight_bias in tensors for one in weight_bias]
            return torch.cat([g.view(-1) for g in torch.autograd.grad(loss(tensors), flat)])

    def begin(self, seed):
        """The graphs hold on to the tensors that they were recorded with: a new agent is written there."""
        kept = {name: getattr(self, name, None) for name in
                ("weights", "targets", "mean", "square", "ring", "state", "updates", "done", "bound")}
        super().begin(seed)
        if kept["weights"] is not None:
            for name, tensor in kept.items():
                tensor.copy_(getattr(self, name))
                setattr(self, name, tensor)

    def record(self, learn):
        if learn not in self.graphs:
            stream = torch.cuda.Stream()  # libraries set themselves up outside of the recording
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self.step(learn)
            torch.cuda.current_stream().wait_stream(stream)
            self.graphs[learn] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graphs[learn]):
                self.step(learn)
        self.graphs[learn].replay()


class Environments(Eager):
    """Random stepping; torch-eager does it."""

    def stepper(self, num_envs, _mode):
        self.many = self.fresh(num_envs)
        self.taken = 0

        def advance(steps=20):
            with torch.no_grad():
                for _ in range(steps):
                    action = torch.rand(num_envs, 1, device=self.device) * 2 - 1
                    self.many, reward = step_pendulum(self.many, action)
                    self.taken += 1
                    if self.taken % pendulum.STEPS == 0:
                        self.many = self.fresh(num_envs)
                    self.seen = observe(self.many), reward
            self.wait()
            return steps * num_envs
        return advance


PROGRAMS = {"torch-eager": Environments, "torch-compile": Compiled, "torch-cuda-graph": CudaGraph}

if __name__ == "__main__":
    main(PROGRAMS, ("torch",))
