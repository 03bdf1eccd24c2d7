"""Pendula's side of the comparison: the same work through its command line, as rows like the runners'. What
runs a command is the argument `run`, a function of (command, seconds) that returns (stdout, seconds taken)."""

import json
import pathlib
import re
import tempfile

import peer_rows

RECIPE = pathlib.Path(__file__).resolve().parents[2] / "configs/pendulum.json"
DIVERGED = 5  # exit code


def config(values, final_episodes):
    """The workload as a config of ours."""
    hidden = {"hidden": values["hidden"], "activation": values["activation"]}
    return {
        "name": "fixed", "total_timesteps": values["steps"],
        "env": {"id": "pendulum", "num_envs": values["num_envs"]}, "actor": hidden, "critic": hidden,
        "ddpg": {"gamma": values["gamma"], "tau": values["tau"], "batch_size": values["batch"],
                 "updates_per_step": values["updates_per_step"]},
        "optimizer": {"actor_lr": values["actor_lr"], "critic_lr": values["critic_lr"]},
        "noise": {"type": "gaussian", "sigma": values["sigma"]},
        "replay": {"capacity": values["capacity"], "warmup_steps": values["warmup_steps"]},
        "eval": {"interval": 0, "final_episodes": final_episodes}, "checkpoint": {"interval": 0},
    }


def keys(work, threads, device, metric, **more):
    return {"suite": peer_rows.SUITE, "case": work, "backend": device, "program": peer_rows.OURS, **more,
            "threads": threads, "metric": metric}


def trained(pendula, run, work, workload, threads, device, seed):
    """Rows of the works `fixed` and `population`: one training, timed by its own clock and from outside,
    both without the evaluation of the final policy."""
    values = workload["fixed"]
    agents = workload["population"]["agents"] if work == "population" else 1
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "fixed.json"
        file.write_text(json.dumps(config(values, workload["solve"]["confirm_episodes"])), encoding="utf-8")
        said, wall = run([pendula, "train", str(file), "--device", device, "--threads", str(threads), "--json",
                          "--quiet", "--run-dir", folder, "--seeds", str(agents),
                          f"seed={1 + agents * (seed - 1)}"])
    result = json.loads(said)
    each = result.get("agents") or [result]
    returns = [one.get("eval/mean_reward") for one in each]
    evaluation = result["time/evaluation"]
    name = f"{len(values['hidden'])}x{values['hidden'][0]}"
    more = {"algorithm": "DDPG", "updates_per_step": values["updates_per_step"], "network": name,
            "batch": values["batch"], "num_envs": values["num_envs"]}
    if work == "population":
        more["agents"] = agents
    return [keys(work, threads, device, metric, **more) | peer_rows.figures([value], returns=returns)
            for metric, value in (("seconds", result["time/time_elapsed"] - evaluation),
                                  ("seconds_from_start", wall - evaluation))]


def stepped(pendula, run, workload, threads, device, short):
    """Rows of the work `env`, from the suite of that name; the faster of its rollout lengths."""
    sizes = workload["env"]["num_envs"]
    command = [pendula, "bench", "env", "--device", device, "--threads", str(threads),
               *(["--short"] if short else [])]
    listed, _ = run([*command, "--list"])
    there = [size for size in sizes if re.search(rf"^env .*\bnum_envs={size} ", listed, re.MULTILINE)]
    if not there:
        raise RuntimeError("`pendula bench env --list` names none of the workload's numbers of environments")
    said, _ = run([*command, "--filter", "num_envs=" + "|".join(map(str, there)), "--quiet", "--json", "-"])
    report, best = json.loads(said), {}
    for row in report["rows"]:
        right = row["suite"] == "env" and row["case"] == "pendulum" and row["num_envs"] in sizes
        if right and peer_rows.measured(row):
            size = row["num_envs"]
            if size not in best or row["median"] > best[size]["median"]:
                best[size] = row
    rows = []
    for size in sizes:
        row = keys("env", threads, device, "env_steps_per_second", num_envs=size)
        if size in best:
            of = best[size]
            row |= {key: of[key] for key in ("repeats", "median", "min", "max", "spread")}
            row |= {"values": [of["median"]], "rollout_length": of["rollout_length"]}
        else:
            row["not_measured"] = "`pendula bench env` has no row of that many environments"
        rows.append(row)
    return rows


def solved(pendula, run, workload, threads, device, seed):
    """Rows of the work `solve`: configs/pendulum.json until it is solved, as the suite race of `pendula bench`
    has it, one seed at a time so that others have their turns."""
    spec = workload["solve"]
    recipe = json.loads(RECIPE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        command = [pendula, "train", str(RECIPE), f"seed={seed}", f"stop.eval_return={spec['return']}",
                   f"total_timesteps={spec['steps']}", f"eval.interval={spec['evaluate_every']}",
                   f"eval.episodes={spec['detect_episodes']}", f"eval.final_episodes={spec['confirm_episodes']}",
                   "--device", device, "--threads", str(threads), "--json", "--quiet", "--run-dir", folder]
        try:
            said, wall = run(command)
        except RuntimeError as failure:
            if getattr(failure, "code", None) != DIVERGED:
                raise
            said, wall = "{}", None
    result = json.loads(said)
    values = dict.fromkeys(("seconds_until_solved", "seconds_until_solved_with_evaluation", "steps_until_solved"))
    if wall is not None and result["stopped_by"] == "stop.eval_return":
        values = dict(zip(values, (wall - result["time/evaluation"], wall, result["time/total_timesteps"])))
    hidden = recipe["actor"]["hidden"]
    more = {"algorithm": "DDPG", "updates_per_step": recipe["ddpg"]["updates_per_step"],
            "network": f"{len(hidden)}x{hidden[0]}", "batch": recipe["ddpg"]["batch_size"],
            "num_envs": recipe["env"]["num_envs"]}
    return [keys("solve", threads, device, metric, **more) |
            peer_rows.figures([value], returns=[result.get("eval/mean_reward")]) for metric, value in values.items()]


def rows(pendula, run, work, workload, threads, device, seed, short):
    """Rows of one repeat. Raises RuntimeError with a sentence where it fails."""
    if work == "env":
        return stepped(pendula, run, workload, threads, device, short)
    if work == "solve":
        return solved(pendula, run, workload, threads, device, seed)
    return trained(pendula, run, work, workload, threads, device, seed)


def machine(pendula, run, device):
    """The machine block of `pendula bench`, from its smallest rows."""
    said, _ = run([pendula, "bench", "env", "--tiny", "--device", device, "--quiet", "--json", "-"])
    return json.loads(said)["machine"]
