"""What several seeds of a config reached: statistics, criteria, and what is measured step by step.
scripts/learn uses it. Python's own library only.

A value that is unknown (a seed that diverged) is NaN here and null in JSON. A config that has one
misses its criterion, whatever the other seeds reached, and no mean hides it.
"""

import collections
import functools
import math
import random

from rows import percentile

RESAMPLES = 10000
EPISODES = 4096  # of the final evaluation: fewer leave a standard error of more than 1.4 on Pendulum

# What must hold of a config's seeds 1 to `seeds`: `count` of them reach `each` of the metric, and
# where `mean` is a number, their mean reaches that.
Criterion = collections.namedtuple("Criterion", "seeds metric each count mean", defaults=(None,))
RETURN, LENGTH, UPRIGHT = "eval/mean_reward", "eval/mean_ep_length", "upright"
CRITERIA = {
    "pendulum": Criterion(20, RETURN, -200, 20, -160),
    "pendulum-zoo": Criterion(20, RETURN, -200, 19, -160),
    "pendulum-paper": Criterion(10, RETURN, -200, 9),
    "pendulum-wide": Criterion(10, RETURN, -200, 9),
    "pendulum-massive": Criterion(10, RETURN, -200, 9),
    "pendulum-massive-65536": Criterion(10, RETURN, -200, 9),
    "cartpole": Criterion(20, LENGTH, 475, 19),
    "cartpole-massive": Criterion(20, LENGTH, 475, 19),
    "cartpole-massive-65536": Criterion(20, LENGTH, 475, 19),
    "cartpole-swingup": Criterion(20, UPRIGHT, 0.95, 18),
}
# Where the hyperparameters of a shipped config come from.
STUDY = "a study, [bench/results/tune/{0}.md](../bench/results/tune/{0}.md): "
RECIPES = {
    "pendulum": STUDY.format("pendulum") + "trial 103, rounded, with a batch of 64 (for 32) and gentler values "
                "beside it, which cost about 20 ms (0.046 s, and 0.068 s in the race) and hold what it has learnt: over 40 seeds the final mean is -151.5 and the "
                "worst -164, of trial 103 rounded -157 and -236",
    "cartpole": STUDY.format("cartpole") + "trial 355, rounded, with gamma 0.98 (for 0.97): of "
                "seeds 1001 to 1040 all are solved, of trial 355 17 of 20",
    "cartpole-swingup": STUDY.format("cartpole-swingup") + "trial 25, rounded",
    "pendulum-zoo": "RL Zoo's for DDPG: not searched, it is there to be compared with theirs",
    "pendulum-paper": "Lillicrap et al. (2015): not searched, it is there to be compared with theirs",
    "pendulum-wide": "by hand: not searched, it is there for its size, an actor of 1000-500-200",
    "pendulum-massive": "by hand: its study wants a GPU, for which it is made",
    "pendulum-massive-65536": "by hand, from `pendulum-massive`: the same",
    "cartpole-massive": "by hand: its study wants a GPU, for which it is made",
    "cartpole-massive-65536": "by hand, from `cartpole-massive`: the same",
    "pendulum-sweep": "it is a search itself: [bench/results/sweep](../bench/results/sweep/README.md)",
}
WORDS = {RETURN: "return", LENGTH: "episode length", UPRIGHT: "upright"}


def upright(lines, column, steps, last=100):
    """The mean of cos(column) over the last `last` of `steps` steps of each episode in the CSV of
    `pendula play`. A step that an episode which ended early never reached counts as -1. Returns
    (mean, number of episodes)."""
    lines = iter(lines)
    header = next(lines, "").rstrip("\n").split(",")
    t_at, angle_at = header.index("t"), header.index(column)
    widest = max(t_at, angle_at) + 1
    last = min(last, steps)
    first = steps - last
    episodes = reached = 0
    total = 0.0
    for line in lines:
        cells = line.split(",", widest)
        t = int(cells[t_at])
        episodes += t == 0
        if t >= first:
            angle = float(cells[angle_at])
            total += math.cos(angle) if math.isfinite(angle) else math.nan
            reached += 1
    if episodes == 0:
        return math.nan, 0
    return (total - (episodes * last - reached)) / (episodes * last), episodes


# Environment: what is measured of it besides return and length, and from which column.
STEP_MEASURES = {"cartpole-swingup": {UPRIGHT: "state_2"}}  # the pole's angle; 0: upright


def iqm(ordered):
    """Interquartile mean: of sorted values, without the lowest and the highest quarter (rounded
    down), as Agarwal et al. (2021) have it."""
    cut = len(ordered) // 4
    return math.fsum(ordered[cut:len(ordered) - cut]) / (len(ordered) - 2 * cut)


@functools.lru_cache(maxsize=4)
def resamples(n):
    """Which of n seeds each resample draws: the same in every call, and on every machine."""
    generator = random.Random(1)
    return [generator.choices(range(n), k=n) for _ in range(RESAMPLES)]


def describe(values):
    """Mean and IQM with their 95% intervals, minimum, maximum; nulls where a value is unknown. The
    intervals are the percentile bootstrap's over the seeds (one task: the only stratum)."""
    if not values or not all(map(math.isfinite, values)):
        return dict.fromkeys(("mean", "mean_interval", "iqm", "iqm_interval", "min", "max"))
    means, iqms = [], []
    for drawn in resamples(len(values)):
        sample = sorted([values[i] for i in drawn])
        means.append(sum(sample) / len(sample))
        iqms.append(iqm(sample))
    ordered = sorted(values)
    ends = [[percentile(sorted(of), share) for share in (0.025, 0.975)] for of in (means, iqms)]
    return {"mean": math.fsum(values) / len(values), "mean_interval": ends[0],
            "iqm": iqm(ordered), "iqm_interval": ends[1], "min": ordered[0], "max": ordered[-1]}


def number(metric, value):
    """A metric's value as text."""
    if value is None or not math.isfinite(value):
        return "not a number"
    return f"{value:.3f}" if metric == UPRIGHT else f"{value:.1f}"


def criterion_text(criterion):
    what = WORDS[criterion.metric]
    every = criterion.count == criterion.seeds
    seeds = f"all {criterion.seeds}" if every else f"at least {criterion.count} of {criterion.seeds}"
    return f"{seeds} seeds: {what} >= {criterion.each}" + (
        f"; mean >= {criterion.mean}" if criterion.mean is not None else "")


def judge(name, values):
    """The verdict on a config's seeds. values: {metric: value of seed 1, of seed 2, ...}."""
    criterion = CRITERIA.get(name)
    if criterion is None:
        return {"criterion": None, "met": None, "said": "not judged: it has no criterion"}
    verdict = {"criterion": criterion_text(criterion), "met": None}
    metric = criterion.metric
    judged = values.get(metric, [])[:criterion.seeds]
    if len(judged) < criterion.seeds:
        return {**verdict, "said": f"not judged: needs {criterion.seeds} seeds"}
    meets = sum(value >= criterion.each for value in judged)
    unknown = sum(not math.isfinite(value) for value in judged)
    faults = [f"{unknown} of {criterion.seeds} seeds reached no number"] if unknown else []
    if meets < criterion.count:
        seed = min(range(len(judged)),
                   key=lambda i: judged[i] if math.isfinite(judged[i]) else -math.inf)
        faults.append(f"{meets} of {criterion.seeds} seeds reach {criterion.each}, "
                      f"{criterion.count} needed; the worst is seed {seed + 1}: "
                      f"{number(metric, judged[seed])}")
    mean = sum(judged) / len(judged)
    # Not `mean < ...`: NaN must not pass.
    if criterion.mean is not None and not mean >= criterion.mean:
        short = f", {number(metric, criterion.mean - mean)} below" if math.isfinite(mean) else ", not"
        faults.append(f"the mean is {number(metric, mean)}{short} {criterion.mean}")
    said = f"missed: {'; '.join(faults)}" if faults else \
        f"met: {meets} of {criterion.seeds} seeds reach {criterion.each}, mean {number(metric, mean)}"
    return {**verdict, "met": not faults, "meets": meets, "said": said}


def finite(value):
    """NaN for null and for what is missing."""
    return math.nan if value is None else float(value)


def null(value):
    return value if value is None or math.isfinite(value) else None


def curve(seeds, metric):
    """The evaluations that all seeds have which came to their end, in order. One that diverged is
    null from there on, and so are the means. A seed that stop.eval_return stopped keeps its last
    value: its policy stays as it is."""
    by_step = [{row["time/total_timesteps"]: finite(row.get(metric)) for row in seed["rows"]}
               for seed in seeds]
    ended = [rows for rows, seed in zip(by_step, seeds) if seed["final"][RETURN] is not None]
    last = max((max(rows, default=0) for rows in ended), default=0)
    whole = [set(rows) for rows in ended if max(rows, default=0) == last]
    for rows in ended:
        if rows and max(rows) < last:
            end = max(rows)
            rows.update({step: rows[end] for step in set.intersection(*whole) if step > end})
    points = []
    for step in sorted(set.intersection(*map(set, ended)) if ended else set().union(*by_step)):
        values = [rows.get(step, math.nan) for rows in by_step]
        points.append({"time/total_timesteps": step, **describe(values),
                       "values": [null(value) for value in values]})
    return {"metric": metric, "points": points}


def report(name, seeds):
    """What the JSON file says of the results. seeds: per seed {"final": {metric: value, ...},
    "rows": rows of eval.jsonl}, seed 1 first."""
    metrics = [key for key in (RETURN, LENGTH, UPRIGHT) if any(key in s["final"] for s in seeds)]
    values = {key: [finite(s["final"].get(key)) for s in seeds] for key in metrics}
    criterion = CRITERIA.get(name)
    drawn = LENGTH if criterion and criterion.metric == LENGTH else RETURN
    return {
        "metric": criterion.metric if criterion else RETURN,
        **{key: describe(some) for key, some in values.items()},
        "verdict": judge(name, values),
        "runs": [{"seed": k + 1, **{key: null(value) for key, value in s["final"].items()}}
                 for k, s in enumerate(seeds)],
        "curve": curve(seeds, drawn),
    }
