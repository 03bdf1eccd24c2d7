"""Rows of the comparison with others (bench/peers/README.md): their statistics, and the file that keeps
them. scripts/bench-peers, bench/peer_docs.py and the runners use it. Python's own library only.

The file, peers.json, is {"machine": {...}, "workload": {...}, "rows": [...]}. A row's "values" has one per
repeat, "returns" what the final policies reached; each row has the version and the date of its program.
"""

import json
import math
import os

import rows as reports

SUITE, OURS = "race", "pendula"
WORKS = ("fixed", "population", "solve", "env")
METRICS = {"fixed": "seconds", "population": "seconds", "solve": "seconds_until_solved",
           "env": "env_steps_per_second"}  # what a work is compared by
GROUP = ("case", "backend", "program", "threads")  # rows that one measurement replaces together


def statistics(values):
    """median, min, max and spread, as bench/statistics.cpp has them. None in `values` is a seed that came to
    no end: it counts as later than any. What is infinite then, or not a number, is None."""
    if not values or any(value is not None and math.isnan(value) for value in values):
        return dict.fromkeys(("median", "min", "max", "spread"))
    ordered = sorted(math.inf if value is None else value for value in values)
    lower, median, upper = (reports.percentile(ordered, share) for share in (0.25, 0.5, 0.75))
    spread = (upper - lower) / median if median else math.nan
    found = {"median": median, "min": ordered[0], "max": ordered[-1], "spread": spread}
    return {key: value if math.isfinite(value) else None for key, value in found.items()}


def figures(values, **more):
    """What a row says of its repeats."""
    return {"repeats": len(values), **statistics(values), "values": values, **more}


def group(row):
    return tuple(str(row.get(key)) for key in GROUP)


def identity(row):
    """What a row is, apart from what was measured."""
    keys = (*GROUP, "metric", "mode", "num_envs" if row.get("case") == "env" else "agents")
    return tuple(str(row.get(key)) for key in keys)


def measured(row):
    return "not_measured" not in row


def joined(rows, new):
    """`rows` with the repeats of `new` behind those of the same identity."""
    rows = {identity(row): row for row in rows}
    for row in new:
        old = rows.get(identity(row))
        if old is not None and measured(old) and measured(row):
            returns = {"returns": old["returns"] + row["returns"]} if "returns" in row else {}
            row = {**row, **figures(old["values"] + row["values"], **returns)}
        elif old is not None and measured(old):
            continue  # what failed does not take away what was measured
        rows[identity(row)] = row
    return list(rows.values())


def note_failure(rows, failure, repeat):
    """Says in the rows of the same program and work that repeat `repeat` failed, and why."""
    for row in rows:
        if group(row) == group(failure) and measured(row):
            row["ended"] = f"repeat {repeat} and those behind it: {failure['not_measured']}"


def merged(old, new):
    """The rows of a file with new ones. Those of one group are replaced together, unless none of the new
    ones was measured and an old one was."""
    good = {group(row) for row in new if measured(row)}
    kept = {group(row) for row in old if measured(row)} - good
    replaced = {group(row) for row in new} - kept
    return [row for row in old if group(row) not in replaced] + \
        [row for row in new if group(row) in replaced]


def load(path):
    """The file, or an empty one where there is none. Raises rows.BadReport where it is broken."""
    return reports.load(path) if os.path.exists(path) else {"machine": {}, "workload": {}, "rows": []}


def save(path, report):
    """Whole, or not at all. Numbers that are none become null."""
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(of) for key, of in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(of) for of in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(plain(report), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    new.replace(path)


def ours(row, rows):
    """Our row of the same work, on the same device and (on a CPU) as many threads; None without one."""
    keys = ["case", "metric", "backend", "agents"]
    keys += ["threads"] if row["backend"] == "cpu" else []
    keys += ["num_envs"] if row["case"] == "env" else []
    found = [one for one in rows if one["program"] == OURS and measured(one) and
             all(one.get(key) == row.get(key) for key in keys)]
    best = max if row["case"] == "env" else min
    found = [one for one in found if reports.is_positive(one.get("median"))]
    return best(found, key=lambda one: one["median"]) if found else None


def ratio(row, rows):
    """How many times as fast ours is; None where one of the two is not known."""
    mine = ours(row, rows)
    if mine is None or not reports.is_positive(row.get("median")):
        return None
    if row["case"] == "env":
        return mine["median"] / row["median"]
    return row["median"] / mine["median"]
