"""What scripts/tune decides with: search spaces, the objective, tables. Python's own library only.

A study is a file, bench/studies/<config>.json:

    config           the config that is tuned: what the study does not name stays as it is there
    solved           the return at which the task counts as solved
    steps            environment steps of a trial, within which a seed must be solved
    holds            whether it must also be at the end of them; no: the config stops when it is
    evaluate_every   environment steps; evaluations of `episodes` episodes
    seeds            of each trial
    agents           so many trials of one structure are trained in one `pendula sweep`; 1: each seed is a
                     `pendula train` that stops when it is solved, or takes GIVE_UP times as long as the best
                     trial, as many side by side as there are cores
    finalists        so many of the best run again, seed by seed, over `final_seeds` other seeds
    search           {key: distribution}, distributions as in a config: log_uniform, uniform,
                     int_uniform, choice
"""

import json
import math
from statistics import median

WORST = 0.25  # share of the worst seed in the objective
IN_VAIN = 2.0  # a seed that is not solved counts as so many times the steps of the trial
GIVE_UP = 2.5
DISTRIBUTIONS = ("log_uniform", "uniform", "int_uniform", "choice")
KEYS = {"config": str, "solved": (int, float), "steps": int, "holds": bool, "evaluate_every": int, "episodes": int,
        "seeds": int, "agents": int, "finalists": int, "final_seeds": int, "search": dict}


class BadStudy(Exception):
    """What is wrong with a study, in one sentence."""


def check_study(study, name):
    """Raises BadStudy."""
    if not isinstance(study, dict):
        raise BadStudy(f"{name}: not an object")
    for key, kind in KEYS.items():
        if not isinstance(study.get(key), kind) or isinstance(study[key], bool) != (kind is bool):
            raise BadStudy(f'{name}: "{key}" is missing, or no {getattr(kind, "__name__", "number")}')
    unknown = sorted(set(study) - set(KEYS))
    if unknown:
        raise BadStudy(f'{name}: unknown key "{unknown[0]}"; known are {", ".join(KEYS)}')
    for key, one in study["search"].items():
        whole = isinstance(one, dict) and len(one) == 1 and isinstance(next(iter(one.values())), list)
        kind = next(iter(one)) if whole else None
        if kind not in DISTRIBUTIONS:
            raise BadStudy(f'{name}: /search/{key}: not a distribution: one of {", ".join(DISTRIBUTIONS)}, '
                           "with a list of values")
        values = one[kind]
        if kind == "choice" and not values or kind != "choice" and (
                len(values) != 2 or not values[0] < values[1] or kind == "log_uniform" and not values[0] > 0):
            raise BadStudy(f"{name}: /search/{key}/{kind}: {json.dumps(values)}; it takes "
                           + ("at least one value" if kind == "choice" else "the smallest and the largest"))
    if not study["search"]:
        raise BadStudy(f"{name}: /search: no key to search over")


def value_of(config, key):
    """Of a resolved config. Raises BadStudy where it has no such key."""
    at = config
    for word in key.split("."):
        if not isinstance(at, dict) or word not in at:
            raise BadStudy(f"/search/{key}: the config has no such key; `pendula config show` lists them")
        at = at[word]
    return at


def may_differ(schema, key):
    """Whether agents of one run may have values of their own of that key, by `pendula config schema`."""
    at = schema
    for word in key.split("."):
        at = at.get("properties", {}).get(word)
        if at is None:
            return False  # a parameter of an environment, or unknown: the config check says it
    return any("choice" in kind.get("properties", {}) for kind in at.get("anyOf", ()))


def suggest(trial, study, wanted=lambda key: True):
    """{key: value} of an Optuna trial, of the wanted keys."""
    values = {}
    for key, one in study["search"].items():
        if not wanted(key):
            continue
        (kind, of), = one.items()
        if kind == "choice":  # by position: a value may be a list
            values[key] = of[trial.suggest_categorical(key, list(range(len(of))))]
        elif kind == "int_uniform":
            values[key] = trial.suggest_int(key, of[0], of[1])
        else:
            values[key] = rounded(trial.suggest_float(key, of[0], of[1], log=kind == "log_uniform"))
    return values


def rounded(value):
    """To three digits: a config that a person would write."""
    return float(f"{value:.2e}")


def steps_to_solve(rows, study):
    """Of one seed's evaluations [(step, return), ...] in order: the step of the first that reached
    `solved`; None where none did, or where the last must and did not."""
    solved = [value is not None and value >= study["solved"] for _, value in rows]
    if not any(solved) or study["holds"] and not solved[-1]:
        return None
    return rows[solved.index(True)][0]


def objective(seconds):
    """What is minimised, of each seed's seconds: their median, and a share of the worst beyond it."""
    if not seconds or any(not math.isfinite(s) for s in seconds):
        return math.inf
    m = median(seconds)
    return m + WORST * (max(seconds) - m)


def steps_counted(steps, study):
    return [IN_VAIN * study["steps"] if s is None else s for s in steps]


def overrides(values):
    """As `pendula train` takes them."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def population(trials, differing, seeds):
    """The overrides that train all `trials` ({key: value} each, alike but for the keys in `differing`) with
    the same seeds in one run: trial 0 with each seed, trial 1 with each seed, ..."""
    common = {key: value for key, value in trials[0].items() if key not in differing}
    lists = {key: [values[key] for values in trials for _ in seeds] for key in trials[0] if key in differing}
    return overrides({**common, **lists, "agents": len(trials) * len(seeds),
                      "seed": list(seeds) * len(trials)})


def nan_first(value):
    """A key to sort by: NaN is the smallest."""
    return -math.inf if math.isnan(value) else value


def number(value):
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return value if isinstance(value, str) else json.dumps(value)


def table(study, entries, extra):
    """A Markdown table: a row per entry ({"values": ..., and the keys of `extra`})."""
    keys = list(study["search"])
    lines = ["| " + " | ".join([*extra, *keys]) + " |", "|" + "---|" * (len(extra) + len(keys))]
    for entry in entries:
        cells = [number(entry.get(key)) for key in extra]
        cells += [number(entry["values"].get(key)) for key in keys]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
