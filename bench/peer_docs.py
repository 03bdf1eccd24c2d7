"""The comparison with others as tables: section() is a part of docs/results.md, table() what
scripts/bench-peers prints. Both are made from bench/results/<machine>/peers.json alone."""

import pathlib

import check
import peer_rows
import rows as reports

NOT_MEASURED = "not measured"
HEAD = """## Beside others, in the same run

What `scripts/bench-peers` measured, by turns with ours on the same machine; `bench/peers/workload.json` has every
value of the work, `bench/peers/README.md` what is counted. "x" is how many times as fast ours is: theirs over ours
of seconds, ours over theirs of steps per second. Returns are those of the final policies over 4,096 episodes. A
cell without a figure was not measured, or did not come to its end; the reason stands below its tables. Ours is judged by
its own evaluator, over initial states of its own, the others by `bench/peers/pendulum.py`; two of 4,096 episodes differ by
about 2. In equal learning, ours has values that were searched for this very time (`bench/results/tune/pendulum.md`), and
`torch-*` and `jax` have the same but for one environment, one update per step and a ring of 20,000 records, which is
as many as there are steps; the packages have those that their projects recommend, for returns. "Set-up" is what passes before the first step, imports and compiling; ours has been compiled
before.
"""
TITLES = {
    "fixed": "Equal work: 10,000 steps of one Pendulum-v1, an update per step, 2x64, B = 100",
    "population": "Equal work, many agents at once",
    "solve": "Equal learning: until the mean return over 4,096 episodes is at least -200",
    "env": "Random actions alone, steps per second",
}


def number(value, digits=3):
    """Three digits: 0.0123, 1.23, 12.3, 1,234."""
    if not reports.is_positive(value):
        return NOT_MEASURED
    return f"{value:,.0f}" if value >= 10**(digits - 1) else f"{value:.{digits}g}"


def seconds(row):
    """The median; and how many seeds did not solve it."""
    if row is None or not peer_rows.measured(row):
        return NOT_MEASURED
    missing = sum(value is None for value in row.get("values", [])) if row["case"] == "solve" else 0
    text = number(row.get("median"))
    if missing and not reports.is_positive(row.get("median")):
        text = "no end"
    return text + (f" ({missing} of {row['repeats']} did not)" if missing else "")


def times(row, rows):
    if row is None or row["program"] == peer_rows.OURS or row["metric"] == "seconds_of_setup":
        return ""
    of = peer_rows.ratio(row, rows) if peer_rows.measured(row) else None
    return NOT_MEASURED if of is None else f"{of:.2f}x" if of < 10 else f"{of:,.0f}x"


def returns(row):
    """(mean, worst) of the final policies."""
    values = (row or {}).get("returns") or []
    if not values or any(not isinstance(v, (int, float)) or v != v for v in values):
        return NOT_MEASURED, NOT_MEASURED
    return f"{sum(values) / len(values):.1f}", f"{min(values):.1f}"


def updates(row):
    """Per environment step."""
    value = row.get("updates_per_step")
    return f"{value:g}" if reports.is_positive(value) else ""


def cores(row):
    return f"{row['threads']}" + (" + GPU" if row["backend"] == "cuda" else "")


def markdown(head, lines):
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in (head, ["---"] * len(head), *lines))


def order(row):
    return (row["backend"], row["threads"], row.get("num_envs", 0) if row["case"] == "env" else 0,
            row["program"] != peer_rows.OURS, row["program"], row.get("mode", ""))


def of_metric(row, rows, metric):
    """The row beside this one that has another metric."""
    return next((one for one in rows if one.get("metric") == metric and peer_rows.measured(one) and
                 peer_rows.identity(one) == peer_rows.identity({**row, "metric": metric})), None)


def lines_of(work, rows):
    """(head, lines) of a work's table."""
    mine = sorted((row for row in rows if row["case"] == work and row["metric"] == peer_rows.METRICS[work]
                   and peer_rows.measured(row)), key=order)
    if work == "env":
        head = ["program", "environments", "cores", "steps/s", "x"]
        return head, [[row["program"] + (f" ({row['mode']})" if row.get("mode") else ""), f"{row['num_envs']:,}",
                       cores(row), check.si(row["median"]) if reports.is_positive(row["median"]) else NOT_MEASURED,
                       times(row, rows)] for row in mine]
    second = {"solve": "seconds_until_solved_with_evaluation"}.get(work, "seconds_from_start")
    head = ["program", "algorithm", "updates per step", *(["agents"] if work == "population" else []), "cores",
            *(["s to -200", "x", "set-up", "with evaluations", "steps"] if work == "solve" else
              ["loop alone, s", "x", "from start, s", "x"]), "repeats", "return, mean", "worst"]
    lines = []
    for row in mine:
        other = of_metric(row, rows, second)
        setup = []
        if work == "solve":
            known = of_metric(row, rows, "seconds_of_setup")
            setup = [seconds(known) if known else ""]
        more = [seconds(of_metric(row, rows, "steps_until_solved"))] if work == "solve" else [times(other, rows)]
        lines.append([row["program"], row.get("algorithm", ""), updates(row),
                      *([row.get("agents", "")] if work == "population" else []), cores(row), seconds(row),
                      times(row, rows), *setup, seconds(other), *more, row.get("repeats", ""), *returns(row)])
    return head, lines


def notes(rows):
    """What sets programs apart, their versions, and what was not measured, as lines of Markdown."""
    differs, versions, missing = {}, {}, {}
    for row in rows:
        if row.get("differs"):
            differs.setdefault(row["differs"], set()).add(row["program"])
        if row.get("ended"):
            differs.setdefault(f"{row['case']}, {cores(row)} cores, {row['ended']}", set()).add(row["program"])
        if row.get("version"):
            versions.setdefault(row["version"], set()).add(row["program"])
        if not peer_rows.measured(row):
            what = f"{row['program']}, {row['case']}" + (f" {row['mode']}" if row.get("mode") else "")
            count = f", {row['num_envs']:,} environments" if row.get("num_envs") and row["case"] == "env" else ""
            missing.setdefault(row["not_measured"], []).append(f"{what}{count}, {cores(row)}")
    lines = [f"- {', '.join(sorted(who))}: {text}." for text, who in differs.items()]
    if versions:
        lines.append("- Versions: " + "; ".join(f"{', '.join(sorted(who))}: {text}"
                                                for text, who in sorted(versions.items())) + ".")
    lines += [f"- Not measured ({'; '.join(dict.fromkeys(what))}): {why}." for why, what in missing.items()]
    return lines


def machine(report):
    of = report["machine"]
    dates = sorted(row["date"][:10] for row in report["rows"] if row.get("date"))
    words = [of.get("gpu"), of.get("cpu"), (of.get("simd_level") or "").upper(),
             f"{of['cores']} cores" if of.get("cores") else None, " to ".join(dict.fromkeys(dates[:1] + dates[-1:]))]
    load = max((row["load_average"] for row in report["rows"]
                if reports.is_positive(row.get("load_average"))), default=None)
    if load is not None and of.get("cores") and load > of["cores"] + 0.5:
        words.append(f"**busy machine**, load average up to {load:.1f}")
    return ", ".join(word for word in words if word)


def tables(report):
    """The tables of one machine, as Markdown."""
    parts = [f"### {machine(report)}"]
    for work in peer_rows.WORKS:
        head, lines = lines_of(work, report["rows"])
        if lines:
            parts += [f"{TITLES[work]}:", markdown(head, lines)]
    parts += ["\n".join(notes(report["rows"]))]
    return "\n\n".join(part for part in parts if part) + "\n"


def section(root):
    """The part of docs/results.md, from every machine's file."""
    files = sorted((pathlib.Path(root) / "bench/results").glob("*/peers.json"))
    parts = [tables(reports.load(file)) for file in files]
    return HEAD + "\n" + ("\n".join(parts) if parts else f"{NOT_MEASURED.capitalize()}: no machine has a file "
                          "bench/results/<machine>/peers.json yet; `scripts/bench-peers` writes it.\n")


def table(rows):
    """One table of everything, for a terminal: columns of the same width."""
    lines = [["work", "program", "algorithm", "updates/step", "cores", "what", "median", "repeats", "x", "return",
              "worst"]]
    for row in sorted(rows, key=lambda row: (peer_rows.WORKS.index(row["case"]), order(row), row["metric"])):
        rate = row["case"] == "env"
        if rate:
            median = check.si(row["median"]) if reports.is_positive(row.get("median")) else NOT_MEASURED
        else:
            median = seconds(row)
        what = row["metric"] + (f", {row['num_envs']:,} environments" if rate and "num_envs" in row else "")
        lines.append([row["case"], row["program"] + (f" ({row['mode']})" if row.get("mode") else ""),
                      row.get("algorithm", ""), updates(row), cores(row), what, median,
                      str(row.get("repeats", "")), times(row, rows), *(("", "") if rate else returns(row))])
        if not peer_rows.measured(row):
            lines[-1][6:] = [f"{NOT_MEASURED}: {row['not_measured']}", "", "", "", ""]
    last = len(lines[0]) - 5  # what may be long is not padded
    widths = [max(len(line[i]) for line in lines if i < last or not line[i].startswith(NOT_MEASURED))
              for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)
