#!/usr/bin/env python3
"""Judges what `pendula bench --json F` wrote; scripts/bench-check runs it.

    check.py kind F               the machine's kind: the name of its file in bench/results/cpu/
    check.py rows F LIST          each row of LIST (from `pendula bench --list`) once, and finite
    check.py ratios F FOLDER      the CPU backend's targets (docs/performance.md), less a margin of
                                  15%; FOLDER holds the committed results of each kind of machine
    check.py table F...           a Markdown table per machine
    check.py document PAGE F...   puts those tables between the marks in PAGE

Python's own library only. Exits 1 with a sentence per fault.
"""

import collections
import pathlib
import re
import sys

import rows as reports

MARGIN = 0.15  # of each target: what a machine of another kind may lack

# The CPU backend's update: network, batch, share of its limit on one thread, how many times as fast
# two threads are where two of OpenBLAS do twice the work of one.
UPDATE_TARGETS = (("2x64", 100, 0.85, 1.6), ("2x64", 128, 0.85, 1.6), ("2x256", 256, 0.95, 1.85))
# 64 agents of that network and batch, two threads beside one, likewise.
POPULATION_ROW = {"suite": "population", "network": "2x64", "batch": 128, "agents": 64,
                  "metric": "updates_per_second"}
POPULATION_TARGET = 1.9
# Pendulum with its ring at 65,536 environments on one core, at the fastest rollout length. Holds
# for the kinds of machine whose committed results reach it.
ENV_TARGET = 0.40e9  # steps/s
ENV_ROW = {"suite": "env", "case": "pendulum", "num_envs": 65536, "threads": 1,
           "metric": "env_steps_per_second"}


def kind(machine):
    """amd-epyc-avx2-2-cores: processor, SIMD level, number of cores; all other characters "-"."""
    for key in ("cpu", "simd_level", "cores"):
        if machine.get(key) in (None, "", 0, "not measured"):
            raise reports.BadReport(
                f'the machine block has no "{key}"; the kind of machine is not known')
    text = f"{machine['cpu']} {machine['simd_level']} {machine['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def check_rows(rows, listed):
    """Faults: rows of `listed` (names, as `name` gives them) that are missing, rows that are there
    twice or not in the list, numbers that are none."""
    faults = []
    seen = collections.Counter(reports.name(row) for row in rows)
    for name in listed:
        if seen[name] == 0:
            faults.append(f"{name}: no such row, though `pendula bench --list` names it")
    for name, count in seen.items():
        if count > 1:
            faults.append(f"{name}: {count} rows of that name")
        if name not in listed:
            faults.append(f"{name}: a row that `pendula bench --list` does not name")
    for row in rows:
        if "not_measured" in row:
            faults.append(f"{reports.name(row)}: not measured: {row['not_measured']}")
            continue
        keys = reports.NUMBERS + tuple(key for key in reports.LIMITS if key in row)
        for key in keys:
            if not reports.is_positive(row.get(key)):
                value = row[key] if key in row else "missing"
                faults.append(f"{reports.name(row)}: {key} is {value}, and must be a finite number "
                              "above 0")
    return faults


def find(rows, **wanted):
    """The fastest CPU row that has these values. Raises BadReport where there is none."""
    wanted = {"backend": "cpu", **wanted}
    found = [row for row in rows if all(row.get(key) == v for key, v in wanted.items())]
    words = " ".join(f"{key}={value}" for key, value in wanted.items())
    if not found:
        raise reports.BadReport(f"{words}: no row; the target needs one")
    for row in found:
        if not reports.is_positive(row.get("median")):
            raise reports.BadReport(f"{reports.name(row)}: median is {row.get('median')}, and must "
                                    "be a finite number above 0")
    return max(found, key=lambda row: row["median"])


def check_ratios(report, committed=None):
    """(faults, sentences about what was reached): the targets less MARGIN. Each is a ratio of two
    rates of one run, so that it holds on any machine; but for ENV_TARGET."""
    rows, faults, reached = report["rows"], [], []

    def expect(what, value, target, form):
        bound = (1 - MARGIN) * target
        sentence = f"{what}: {form(value)}; the target is {form(target)}, asserted is {form(bound)}"
        # Written so that a NaN fails.
        (reached if value >= bound else faults).append(sentence)

    cores = report["machine"].get("cores", 1)

    def expect_times(what, one, two, target):
        """Two threads beside one. Two cores of a virtual machine may be one: twice is what
        OpenBLAS's two threads get."""
        twice = two["limit"] / one["limit"]
        expect(f"{what}, two threads beside one, where OpenBLAS gets {twice:.2f} times",
               2 * two["median"] / one["median"] / twice, target, lambda x: f"{x:.2f} times")

    for network, batch, share, times in UPDATE_TARGETS:
        what = f"update {network}, B = {batch}"
        keys = {"suite": "update", "network": network, "batch": batch,
                "metric": "updates_per_second"}
        one = find(rows, **keys, threads=1)
        if reports.is_positive(one.get("limit")):
            expect(f"{what}, share of the limit ({one.get('limit_from')})",
                   one["median"] / one["limit"], share, lambda x: f"{100 * x:.1f}%")
        else:
            faults.append(f"{what}: no limit in the row; was the suite machine run with it?")
        if cores >= 2:
            two = find(rows, **keys, threads=2)
            if not all(reports.is_positive(row.get("limit")) for row in (one, two)):
                continue  # a fault already
            expect_times(what, one, two, times)
    if cores >= 2:
        one, two = (find(rows, **POPULATION_ROW, threads=threads) for threads in (1, 2))
        if all(reports.is_positive(row.get("limit")) for row in (one, two)):
            expect_times("population of 64 agents", one, two, POPULATION_TARGET)
        else:
            faults.append("population of 64 agents: no limit in the row; was the suite machine run "
                          "with it?")
    else:
        reached.append("two threads beside one: not measured (this machine has one core)")

    if committed and find(committed["rows"], **ENV_ROW)["median"] >= ENV_TARGET:
        expect("env pendulum, 65,536 environments, one thread",
               find(rows, **ENV_ROW)["median"], ENV_TARGET, lambda x: f"{x / 1e9:.3f} G steps/s")
    else:
        reached.append("env pendulum: 0.40 G steps/s per core is not asserted (only where the "
                       "committed results of the same kind of machine reach it)")
    return faults, reached


UNITS = {
    "flop_per_second": "FLOP/s",
    "bytes_per_second": "B/s",
    "gathers_per_second": "gathers/s",
    "words_per_second": "words/s",
    "env_steps_per_second": "steps/s",
    "updates_per_second": "updates/s",
    "updates_per_second_per_agent": "updates/s of an agent",
    "seconds": "s",
    "seconds_from_start": "s from the process's start",
    "seconds_until_solved": "s until solved",
    "seconds_until_solved_with_evaluation": "s until solved, evaluation among them",
    "steps_until_solved": "steps until solved"
}


def si(value, unit=""):
    """8.52 k updates/s, 75 GFLOP/s: three digits and the SI's prefix."""
    value = float(f"{value:.2e}")  # 999.7 becomes 1 k: the prefix is that of the rounded number
    exponent = next(e for e in (12, 9, 6, 3, 0, -3, -6, -9) if abs(value) >= 10.0**e or e == -9)
    prefix = {12: "T", 9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "u", -9: "n"}[exponent]
    gap = " " if unit[:1].islower() and unit != "s" and prefix else ""
    return f"{value / 10.0**exponent:.3g} {prefix}{gap}{unit}".strip()


def table(report):
    """The report as a Markdown table, under a heading that names the machine."""
    machine = report["machine"]
    words = [f"{machine.get('cpu')}, {machine.get('simd_level')}, {machine.get('cores')} cores"]
    words += [f"{key} {machine[key]}" for key in ("compiler", "commit", "date") if machine.get(key)]
    lines = [", ".join(words) + ":", "",
             "| suite | row | median | min to max | limit | share of it |",
             "|---|---|---|---|---|---|"]
    for row in report["rows"]:
        unit = UNITS.get(row.get("metric"), row.get("metric", ""))
        keys = [key for key in row if key not in ("suite", "backend", "metric", *reports.VALUES)]
        what = ", ".join(row[key] if isinstance(row[key], str) else
                         f"{key.replace('_', ' ')} {row[key]:,}" for key in keys)
        if "not_measured" in row:
            lines.append(f"| {row['suite']} | {what} | not measured | | | |")
            continue
        cells = [row["suite"], what, si(row["median"], unit),
                 f"{si(row['min'])} to {si(row['max'])}",
                 si(row["limit"], unit) if "limit" in row else "",
                 f"{row['percent_of_limit']:.1f}%" if "limit" in row else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


MARKS = ("<!-- cpu results: begin -->\n", "<!-- cpu results: end -->")


def with_tables(page, tables):
    """The text of a page with `tables` between its marks."""
    once = [page.count(mark) for mark in MARKS] == [1, 1]
    if not once or page.index(MARKS[0]) > page.index(MARKS[1]):
        raise reports.BadReport(
            f"the page does not have the marks {MARKS[0].strip()} and {MARKS[1]}, each once")
    before, rest = page.split(MARKS[0])
    return before + MARKS[0] + tables + "\n" + MARKS[1] + rest.split(MARKS[1])[1]


def tables(files):
    return "\n\n".join(table(reports.load(file)) for file in files)


def main(arguments):
    verb, files = arguments[0] if arguments else "", arguments[1:]
    if verb == "kind" and len(files) == 1:
        print(kind(reports.load(files[0])["machine"]))
    elif verb == "rows" and len(files) == 2:
        with open(files[1], encoding="utf-8") as listed:
            names = [line.strip() for line in listed if line.strip()]
        faults = check_rows(reports.load(files[0])["rows"], names)
        print_faults(faults)
        print(f"{len(names)} rows, each once and finite")
    elif verb == "ratios" and len(files) == 2:
        report = reports.load(files[0])
        path = pathlib.Path(files[1]) / (kind(report["machine"]) + ".json")
        faults, reached = check_ratios(report, reports.load(path) if path.exists() else None)
        print("\n".join(reached))
        if not path.exists():
            print(f"not compared: there is no {path}, the results of this kind of machine; "
                  "scripts/bench-check --update writes it")
        print_faults(faults)
    elif verb == "table" and files:
        print(tables(files))
    elif verb == "document" and len(files) > 1:
        page = pathlib.Path(files[0])
        page.write_text(with_tables(page.read_text(encoding="utf-8"), tables(files[1:])),
                        encoding="utf-8")
    else:
        sys.exit(__doc__)


def print_faults(faults):
    """Ends the program where there are any."""
    if faults:
        sys.exit("\n".join(f"bench-check: {fault}" for fault in faults))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (reports.BadReport, OSError) as error:
        sys.exit(f"bench-check: {error}")
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"bench-check: {' '.join(sys.argv[2:])}: a row or the machine block lacks a value, "
                 f"or has one of another kind ({type(error).__name__}: {error})")
