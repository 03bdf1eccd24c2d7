#!/usr/bin/env python3
"""Writes torch_<case>.safetensors: 100 DDPG updates in float64 PyTorch, written from the algorithm.

    /usr/bin/python3 tests/golden/make_torch_golden.py [OUTPUT_DIR]

Needs torch and numpy. Nothing here comes from Pendula's own code: networks are torch.nn.Linear,
gradients autograd, the optimiser torch.optim.Adam. What both sides share is the definition of a
batch (Philox, see sample_batch) and of a record.

Tensors of a file, weights in torch's shape (out, in):
  records                        (rows * num_envs, 4) F32: theta, theta_dot, action (N m), reward;
                                 record = row * num_envs + env
  init.{actor,critic}.layers.I.{weight,bias}          F32; the targets start as copies
  uK.{actor,critic}.layers.I.{weight,bias}            after K updates, K = 1, 10, 100
  uK.{actor,critic}_target.layers.I.{weight,bias}
  uK.{actor,critic}.layers.I.{weight,bias}.adam_{m,v}
  losses                         (100, 2) F64: critic loss, actor loss = -mean Q(s, mu(s))
  norms                          (100, 2) F64: norm of critic's, actor's gradient before clipping
All of uK is F64. In a case marked `compact`, to keep the file small, u1 has the networks only, u10
the networks only and in F32, and the moments of u100 are F32.

Metadata: `config` (the hyperparameters as a Pendula config, JSON), `rows`, `num_envs`, `seed`,
`updates`, `torch`, `numpy`.
"""

import json
import pathlib
import sys

import numpy as np
import torch

UPDATES = 100
SNAPSHOTS = (1, 10, 100)
SAMPLE = 6  # purpose of the random numbers that choose a batch
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "silu": torch.nn.functional.silu}

CASES = {
    "base": {
        "seed": 4, "rows": 40, "num_envs": 16, "compact": True,
        "actor": {"hidden": [64, 64], "activation": "relu"},
        "critic": {"hidden": [64, 64], "activation": "relu"},
        "ddpg": {"gamma": 0.99, "tau": 0.005, "target_update_interval": 1, "batch_size": 128,
                 "loss": "mse", "reward_scale": 1.0},
        "optimizer": {"actor_lr": 1e-3, "critic_lr": 1e-3, "beta1": 0.9, "beta2": 0.999,
                      "eps": 1e-8, "weight_decay": 0.0, "max_grad_norm": None},
    },
    # Nothing is a multiple of anything; the seed needs more than 32 bits.
    "odd": {
        "seed": 0x0123456789ABCDEF, "rows": 37, "num_envs": 5, "compact": False,
        "actor": {"hidden": [33, 17], "activation": "tanh"},
        "critic": {"hidden": [31, 40, 9], "activation": "silu"},
        "ddpg": {"gamma": 0.98, "tau": 0.01, "target_update_interval": 3, "batch_size": 31,
                 "loss": "huber", "reward_scale": 0.1},
        "optimizer": {"actor_lr": 5e-4, "critic_lr": 2e-3, "beta1": 0.9, "beta2": 0.999,
                      "eps": 1e-8, "weight_decay": 1e-2, "max_grad_norm": 0.5},
    },
    # One hidden layer, one environment; the actor's gradient is clipped too.
    "relu_single": {
        "seed": 7, "rows": 300, "num_envs": 1, "compact": False,
        "actor": {"hidden": [16], "activation": "relu"},
        "critic": {"hidden": [100], "activation": "relu"},
        "ddpg": {"gamma": 0.99, "tau": 0.005, "target_update_interval": 1, "batch_size": 100,
                 "loss": "huber", "reward_scale": 1.0},
        "optimizer": {"actor_lr": 1e-3, "critic_lr": 1e-3, "beta1": 0.9, "beta2": 0.999,
                      "eps": 1e-8, "weight_decay": 0.0, "max_grad_norm": 0.25},
    },
}


# --- Philox4x32-10 and the batch ---

def philox(counter, key):
    """counter: four words or arrays of words; key: two words."""
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    x, y, z, w = (np.asarray(c, dtype=np.uint64) for c in counter)
    k0, k1 = (int(k) for k in key)
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * x
        p1 = np.uint64(0xCD9E8D57) * z
        x, y, z, w = ((p1 >> shift) ^ y ^ np.uint64(k0), p1 & mask,
                      (p0 >> shift) ^ w ^ np.uint64(k1), p0 & mask)
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return x, y, z, w


def check_philox():
    """The known answers of Random123."""
    ones = 0xFFFFFFFF
    known = [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ones,) * 4, (ones,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
         "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]
    for counter, key, answer in known:
        got = " ".join(f"{int(word):08x}" for word in philox(counter, key))
        assert got == answer, (got, answer)


def sample_batch(seed, update, batch, rows, num_envs):
    """Indices of the records of one batch: samples 2j and 2j + 1 share one Philox call.

    counter = {purpose, index of the call, update, 0}, key = seed."""
    i = np.arange(batch)
    index = (i // 2).astype(np.uint64)
    zero = np.zeros(batch, dtype=np.uint64)
    words = philox((zero + np.uint64(SAMPLE), index, zero + np.uint64(update), zero),
                   (seed & 0xFFFFFFFF, seed >> 32))
    odd = i % 2 == 1
    a = np.where(odd, words[2], words[0])
    b = np.where(odd, words[3], words[1])
    row = (a * np.uint64(rows)) >> np.uint64(32)
    env = (b * np.uint64(num_envs)) >> np.uint64(32)
    return (row * np.uint64(num_envs) + env).astype(np.int64)


# --- Pendulum ---

MAX_TORQUE = 2.0


def pendulum_step(theta, theta_dot, torque):
    """Next theta, next theta_dot, reward; g = 10, m = l = 1, dt = 0.05."""
    angle = (theta + np.pi) % (2 * np.pi) - np.pi
    reward = -(angle**2 + 0.1 * theta_dot**2 + 0.001 * torque**2)
    speed = np.clip(theta_dot + (15.0 * np.sin(theta) + 3.0 * torque) * 0.05, -8.0, 8.0)
    return theta + speed * 0.05, speed, reward


def observe(theta, theta_dot):
    return torch.from_numpy(np.stack([np.cos(theta), np.sin(theta), theta_dot], axis=1))


def make_records(rng, count):
    """States on and beyond the circle; noisy actions, a good part of them clipped to the bound."""
    theta = rng.uniform(-10.0, 10.0, count).astype(np.float32).astype(np.float64)
    theta_dot = rng.uniform(-8.0, 8.0, count).astype(np.float32).astype(np.float64)
    torque = np.clip(1.5 * rng.standard_normal(count), -MAX_TORQUE, MAX_TORQUE)
    torque = torque.astype(np.float32).astype(np.float64)
    reward = pendulum_step(theta, theta_dot, torque)[2]
    return np.stack([theta, theta_dot, torque, reward], axis=1).astype(np.float32)


# --- networks ---

class Network(torch.nn.Module):
    def __init__(self, sizes, activation, output):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            torch.nn.Linear(n, m, dtype=torch.float64) for n, m in zip(sizes, sizes[1:]))
        self.activation = ACTIVATIONS[activation]
        self.output = output

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.output(self.layers[-1](x))


def make_network(rng, sizes, activation, output):
    net = Network(sizes, activation, output)
    with torch.no_grad():
        for layer in net.layers:
            bound = 1.0 / np.sqrt(layer.in_features)
            for p in (layer.weight, layer.bias):
                draw = rng.uniform(-bound, bound, tuple(p.shape)).astype(np.float32)
                p.copy_(torch.from_numpy(draw.astype(np.float64)))
    return net


def descend(loss, net, optimizer, max_norm):
    """One Adam step; returns the norm of the gradient before clipping."""
    params = list(net.parameters())
    for p, g in zip(params, torch.autograd.grad(loss, params)):
        p.grad = g
    norm = torch.nn.utils.clip_grad_norm_(params, float("inf") if max_norm is None else max_norm)
    optimizer.step()
    return norm.item()


# --- one case ---

def run(case):
    seed, rows, num_envs, ddpg, opt = (case[k] for k in
                                       ("seed", "rows", "num_envs", "ddpg", "optimizer"))
    rng = np.random.default_rng(seed)
    records = make_records(rng, rows * num_envs)

    def actor():
        return [3, *case["actor"]["hidden"], 1], case["actor"]["activation"], torch.tanh

    def critic():
        return [4, *case["critic"]["hidden"], 1], case["critic"]["activation"], lambda q: q

    nets = {"actor": make_network(rng, *actor()), "critic": make_network(rng, *critic())}
    nets["actor_target"], nets["critic_target"] = Network(*actor()), Network(*critic())
    for name in ("actor", "critic"):
        nets[name + "_target"].load_state_dict(nets[name].state_dict())
    mu, q, mu_target, q_target = (
        nets[n] for n in ("actor", "critic", "actor_target", "critic_target"))
    adam = {name: torch.optim.Adam(nets[name].parameters(), lr=opt[name + "_lr"],
                                   betas=(opt["beta1"], opt["beta2"]), eps=opt["eps"],
                                   weight_decay=opt["weight_decay"])
            for name in ("actor", "critic")}
    loss_fn = {"mse": torch.nn.MSELoss(), "huber": torch.nn.HuberLoss(delta=1.0)}[ddpg["loss"]]

    tensors = {"records": records}
    losses, norms = np.zeros((UPDATES, 2)), np.zeros((UPDATES, 2))

    def save(prefix, names, dtype, moments=None):
        for name in names:
            for key, p in nets[name].named_parameters():
                tensors[f"{prefix}.{name}.{key}"] = p.detach().numpy().astype(dtype)
                if moments is not None and name in adam:
                    state = adam[name].state[p]
                    for suffix, moment in (("adam_m", "exp_avg"), ("adam_v", "exp_avg_sq")):
                        tensors[f"{prefix}.{name}.{key}.{suffix}"] = (
                            state[moment].numpy().astype(moments))

    save("init", ("actor", "critic"), np.float32)

    for u in range(UPDATES):
        batch = records[sample_batch(seed, u, ddpg["batch_size"], rows, num_envs)]
        theta, theta_dot, torque, reward = batch.astype(np.float64).T
        next_theta, next_theta_dot, _ = pendulum_step(theta, theta_dot, torque)
        obs, next_obs = observe(theta, theta_dot), observe(next_theta, next_theta_dot)
        action = torch.from_numpy(torque[:, None] / MAX_TORQUE)
        r = torch.from_numpy(reward[:, None].copy())

        with torch.no_grad():
            next_q = q_target(torch.cat([next_obs, mu_target(next_obs)], dim=1))
            y = ddpg["reward_scale"] * r + ddpg["gamma"] * next_q

        critic_loss = loss_fn(q(torch.cat([obs, action], dim=1)), y)
        norms[u, 0] = descend(critic_loss, q, adam["critic"], opt["max_grad_norm"])
        actor_loss = -q(torch.cat([obs, mu(obs)], dim=1)).mean()
        norms[u, 1] = descend(actor_loss, mu, adam["actor"], opt["max_grad_norm"])
        losses[u] = critic_loss.item(), actor_loss.item()

        if (u + 1) % ddpg["target_update_interval"] == 0:
            with torch.no_grad():
                for name in ("actor", "critic"):
                    for t, p in zip(nets[name + "_target"].parameters(), nets[name].parameters()):
                        t.add_(ddpg["tau"] * (p - t))

        if u + 1 in SNAPSHOTS:
            compact, last = case["compact"], u + 1 == UPDATES
            names = ("actor", "critic") if compact and not last else tuple(nets)
            dtype = np.float32 if compact and u + 1 == 10 else np.float64
            moments = np.float64 if not compact else np.float32 if last else None
            save(f"u{u + 1}", names, dtype, moments)

    tensors["losses"], tensors["norms"] = losses, norms
    return tensors


def metadata(name, case):
    count = case["rows"] * case["num_envs"]
    config = {"name": f"torch_{name}", "seed": case["seed"],
              "env": {"id": "pendulum", "num_envs": case["num_envs"]},
              "actor": case["actor"], "critic": case["critic"], "ddpg": case["ddpg"],
              "optimizer": case["optimizer"],
              "replay": {"capacity": count, "warmup_steps": count}}
    return {"config": json.dumps(config), "rows": str(case["rows"]),
            "num_envs": str(case["num_envs"]), "seed": str(case["seed"]),
            "updates": str(UPDATES), "torch": torch.__version__, "numpy": np.__version__}


def write_safetensors(path, tensors, meta):
    """Wider types first, so that everything is aligned to its own size."""
    header, data, offset = {"__metadata__": meta}, [], 0
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        dtype = {"float32": "F32", "float64": "F64"}[array.dtype.name]
        raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
        data.append(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))


def main():
    torch.set_num_threads(1)
    check_philox()
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    for name, case in CASES.items():
        tensors = run(case)
        assert all(np.isfinite(t).all() for t in tensors.values())
        path = out / f"torch_{name}.safetensors"
        write_safetensors(path, tensors, metadata(name, case))
        losses, norms = tensors["losses"], tensors["norms"]
        print(f"{path.name}: {path.stat().st_size} B")
        for i, which in enumerate(("critic", "actor")):
            limit = case["optimizer"]["max_grad_norm"] or float("inf")
            print(f"  {which}: loss {losses[0, i]:.6g} -> {losses[-1, i]:.6g}, gradient norm "
                  f"{norms[:, i].min():.3g} to {norms[:, i].max():.3g}, "
                  f"clipped in {(norms[:, i] > limit).sum()} of {UPDATES} updates")


if __name__ == "__main__":
    main()
