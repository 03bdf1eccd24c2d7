"""What `pendula bench race --json bench/results/<machine>/race.json` wrote, as a part of docs/results.md."""

import json
import pathlib

import check
import rows as reports

NOT_MEASURED = "not measured"
HEAD = """## The race

What `pendula bench race` measured: whole trainings, each seed in a process of its own, by turns. `fixed` is the work that
the section below gives others: 10,000 steps of one Pendulum, an update per step, 2x64, B = 100; its seconds are those of
the training. The others are the shipped configs, from the start of the process until the return reaches {solved}: 256
episodes detect it, 4,096 confirm it; evaluations are not counted in the first column, and in the second they are. A
seed that is not solved counts with the whole of its run, one that diverged as never.
"""
RECIPES = ("cartpole", "cartpole-swingup")


def solved(root):
    """The returns of HEAD, as bench/race_suite.cpp has them."""
    returns = {name: json.loads((root / f"configs/{name}.json").read_text(encoding="utf-8"))["stop"]["eval_return"]
               for name in RECIPES}
    return ", ".join(["-200 (`pendulum`)", *(f"{value} (`{name}`)" for name, value in returns.items())])


def cell(row, key="median"):
    return check.si(row[key], "s") if row and reports.is_positive(row.get(key)) else NOT_MEASURED


def lines_of(report):
    """A line per case and number of threads."""
    races = {}
    for row in report["rows"]:
        if row["suite"] == "race":
            races.setdefault((row["case"], row["backend"], row.get("threads", 0)), {})[row["metric"]] = row
    lines = []
    for (case, backend, threads), by_metric in races.items():
        first = by_metric.get("seconds") or by_metric.get("seconds_until_solved")
        whole = by_metric.get("seconds_from_start") or by_metric.get("seconds_until_solved_with_evaluation")
        steps = by_metric.get("steps_until_solved")
        if first is None or "not_measured" in first:
            continue
        returns = [value for value in first["returns"] if value is not None]
        whole_returns = len(returns) == len(first["returns"])
        lines.append([
            f"`{case}`", threads or backend, first["repeats"], first["unsolved"], cell(first), cell(first, "max"),
            cell(whole), f"{steps['median']:,.0f}" if steps else "10,000",
            f"{sum(returns) / len(returns):.1f}" if whole_returns else "diverged",
            f"{min(returns):.1f}" if whole_returns else "diverged"])
    return lines


def table(report):
    machine = report["machine"]
    words = [machine.get("gpu"), machine.get("cpu"), machine.get("simd_level", "").upper(),
             f"{machine.get('cores')} cores", f"commit {machine.get('commit')}", str(machine.get("date"))[:10],
             f"load average {machine.get('load_average')}"]
    head = ["what", "threads", "seeds", "unsolved", "median", "worst", "median with evaluations (`fixed`: from start)",
            "steps", "return, mean", "worst"]
    lines = [f"### {', '.join(word for word in words if word)}", "", "| " + " | ".join(head) + " |",
             "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(str, line)) + " |" for line in lines_of(report)]) + "\n"


def section(root):
    root = pathlib.Path(root)
    files = sorted((root / "bench/results").glob("*/race.json"))
    parts = [table(reports.load(file)) for file in files]
    return HEAD.format(solved=solved(root)) + "\n" + ("\n".join(parts) if parts else f"{NOT_MEASURED.capitalize()}.\n")
