"""What all runners of this folder share: arguments, timing and the report that they print, in the format of
`pendula bench --json -` (README.md beside this file says what is measured).

A runner calls main(programs) with {name: class}. What a class has of these decides which work it can do:

    begin(seed)          a new agent (or several); what is compiled is compiled when it returns
    train(steps)         that many environment steps of each agent, done when it returns
    policy() or policies()   the deterministic policy of the agent, of each agent: (n, 3) to torques, N m
    stepper(num_envs, mode)  a function that steps so many environments with random actions for a while
                             and returns the number of steps
    check()              fails where its Pendulum is not ours

Classes get a Task. They have `algorithm`, and may have `differs` (what sets its work apart, in words), `modes`
(of stepper) and `uncounted` (seconds of its set-up that only steadied the timing).
"""

import argparse
import json
import os
import sys
import time

import pendulum

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from peer_rows import SUITE, figures  # noqa: E402

WORKS = ("fixed", "env", "population", "solve")
EVALUATION_SEED = 20_000  # the same initial states for every program


def process_start():
    """When this process started, by time.perf_counter(): within a tick of the kernel (10 ms)."""
    with open("/proc/self/stat", encoding="utf-8") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.perf_counter() - age


STARTED = process_start()


def load_workload(path):
    try:
        with open(path, encoding="utf-8") as file:
            workload = json.load(file)
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: the workload cannot be read ({error}); bench/peers/workload.json is ours")
    for work in WORKS:
        if not isinstance(workload.get(work), dict):
            sys.exit(f'{path}: the workload has no object "{work}"; bench/peers/workload.json shows all four')
    return workload


def parse(programs, argv):
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--workload", required=True, help="bench/peers/workload.json")
    parser.add_argument("--work", required=True, choices=WORKS)
    parser.add_argument("--program", choices=list(programs), help=f"one of {', '.join(programs)} (all)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many, one after another in one process")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads that it may take")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--short", action="store_true", help="shorter and fewer measurements of `env`")
    return parser.parse_args(argv)


class Task:
    """What a program is to do: the arguments, and the workload's parts."""

    def __init__(self, arguments, program):
        workload = load_workload(arguments.workload)
        self.work, self.program, self.device = arguments.work, program, arguments.device
        self.threads, self.short = arguments.threads, arguments.short
        self.seeds = range(arguments.seed, arguments.seed + arguments.seeds)
        self.fixed, self.env, self.population, self.solve = (
            workload[key] for key in ("fixed", "env", "population", "solve"))
        self.values = dict(self.fixed)
        if self.work == "solve":
            self.values.update(self.solve["programs"].get(program, {}).get("values", {}))
        self.agents = self.population["agents"] if self.work == "population" else 1

    @property
    def chunks(self):
        """The numbers of steps that train() will be called with, warm-up included in the first."""
        if self.work == "solve":
            warmup, every = self.values["warmup_steps"], self.solve["evaluate_every"]
            return warmup + every, every
        return (self.values["steps"],)


def hidden_name(hidden):
    """2x64 for [64, 64], 400-300 for [400, 300], as bench/rows.py reads it."""
    same = len(set(hidden)) == 1
    return f"{len(hidden)}x{hidden[0]}" if same else "-".join(map(str, hidden))


def row(task, of, metric, **more):
    """A row's keys, without figures."""
    keys = {"suite": SUITE, "case": task.work, "backend": task.device, "program": task.program}
    if task.work != "env":
        values = task.values
        keys |= {"algorithm": of.algorithm, "updates_per_step": values["updates_per_step"],
                 "network": hidden_name(values["hidden"]), "batch": values["batch"],
                 "num_envs": values["num_envs"]}
    if task.work == "population":
        keys["agents"] = task.agents
    keys |= {"threads": task.threads, **more, "metric": metric}
    if getattr(of, "differs", ""):
        keys["differs"] = of.differs
    return keys


def uncounted(agent):
    """Seconds of its set-up that only steadied the timing: nobody who trains once would spend them."""
    return getattr(agent, "uncounted", 0.0)


def race(task, program):
    """Rows of the works `fixed` and `population`: the loop alone, and from the start of the process.
    The set-up counts for each seed as though it were the first."""
    agent = program(task)
    alone, from_start, returns, setup = [], [], [], None
    for seed in task.seeds:
        agent.begin(seed)
        begin = time.perf_counter()
        setup = begin - STARTED - uncounted(agent) if setup is None else setup
        agent.train(task.values["steps"])
        alone.append(time.perf_counter() - begin)
        from_start.append(setup + alone[-1])
        policies = agent.policies() if task.work == "population" else [agent.policy()]
        returns += [pendulum.evaluate(policy, task.solve["confirm_episodes"], EVALUATION_SEED)
                    for policy in policies]
    agent.check()
    return [row(task, agent, "seconds") | figures(alone, returns=returns),
            row(task, agent, "seconds_from_start") | figures(from_start, returns=returns)]


def solve(task, program):
    """Rows of the work `solve`. Null stands for a seed that did not solve it in time."""
    spec = task.solve
    agent = program(task)
    setup, taken = None, {name: [] for name in ("seconds_until_solved", "seconds_until_solved_with_evaluation",
                                                "steps_until_solved", "seconds_of_setup")}
    returns = []
    for seed in task.seeds:
        agent.begin(seed)
        setup = time.perf_counter() - STARTED - uncounted(agent) if setup is None else setup
        trained = evaluated = 0.0
        steps, solved, reached = 0, False, None
        while not solved:
            chunk = task.chunks[0 if steps == 0 else 1]
            if steps + chunk > spec["steps"]:
                break
            begin = time.perf_counter()
            agent.train(chunk)
            middle = time.perf_counter()
            steps += chunk
            reached = pendulum.evaluate(agent.policy(), spec["detect_episodes"], EVALUATION_SEED + 1)
            if reached >= spec["return"]:
                reached = pendulum.evaluate(agent.policy(), spec["confirm_episodes"], EVALUATION_SEED)
                solved = reached >= spec["return"]
            trained += middle - begin
            evaluated += time.perf_counter() - middle
        returns.append(reached)
        for name, value in zip(taken, (setup + trained, setup + trained + evaluated, steps, setup)):
            taken[name].append(value if solved or name == "seconds_of_setup" else None)
    agent.check()
    return [row(task, agent, metric) | figures(values, returns=returns) for metric, values in taken.items()]


def env(task, program):
    """Rows of the work `env`: random actions, steps of all environments per second."""
    spec, rows = task.env, []
    one = program(task)
    seconds, repeats = (spec["short_seconds"], 3) if task.short else (spec["seconds"], spec["repeats"])
    for mode in getattr(program, "modes", ("",)):
        for num_envs in spec["num_envs"]:
            keys = row(task, program, "env_steps_per_second", num_envs=num_envs, **({"mode": mode} if mode else {}))
            try:
                advance = one.stepper(num_envs, mode)
                advance()  # compiles; some compile once more for what the first call returned
                advance()
                rates = []
                for _ in range(repeats):
                    begin, steps, spent = time.perf_counter(), 0, 0.0
                    while spent < seconds:
                        steps += advance()
                        spent = time.perf_counter() - begin
                    rates.append(steps / spent)
                rows.append(keys | figures(rates))
                getattr(advance, "close", lambda: None)()
            except TooMany as reason:
                rows.append(keys | {"not_measured": str(reason)})
    one.check()
    return rows


class TooMany(Exception):
    """Why a program is not measured with that many environments."""


def main(programs, versions):
    """Runs what the arguments ask for, and prints the report. versions: packages whose version counts."""
    arguments = parse(programs, sys.argv[1:])
    out = os.dup(1)  # what peers print must not stand in the report
    os.dup2(2, 1)
    rows = []
    for name in [arguments.program] if arguments.program else programs:
        task = Task(arguments, name)
        work = {"fixed": race, "population": race, "solve": solve, "env": env}[task.work]
        needed = {"env": "stepper", "population": "policies"}.get(task.work, "policy")
        if hasattr(programs[name], needed):
            rows += work(task, programs[name])
        elif arguments.program:
            sys.exit(f"{name}: it cannot do the work {task.work}; leave it out of --program")
    pendulum.check_against_gymnasium()
    from importlib import metadata
    version = ", ".join(f"{package} {metadata.version(package)}" for package in versions)
    for one in rows:
        one["version"] = version
        one["date"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    machine = {"cores": os.cpu_count(), "load_average": os.getloadavg()[0], "python": sys.version.split()[0]}
    with os.fdopen(out, "w", encoding="utf-8") as file:
        json.dump({"machine": machine, "rows": rows}, file, indent=1)
        file.write("\n")
