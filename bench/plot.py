#!/usr/bin/env python3
"""Draws reports of `pendula bench --json F`: the roofline, and throughput against the numbers of
environments, the batch and the network.

    .venv/bin/python bench/plot.py F... [--out DIR]

Writes DIR/<name of F>-roofline, -environments, -batch and -network, each as .svg and .png (DIR is
that of F by default). Points are medians, bars the smallest and largest repeat, dashed lines the
limits from the same run. What a report does not hold is not drawn, and said. Needs matplotlib
(scripts/setup --tests).
"""

import argparse
import math
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter  # noqa: E402

import rows as reports  # noqa: E402

matplotlib.rcParams.update({
    "svg.hashsalt": "pendula",  # the same report, the same bytes
    "svg.fonttype": "none",  # text stays text
    "legend.frameon": False,
    "legend.fontsize": "small",
    "axes.titlesize": "medium"
})

# Okabe and Ito's colours, told apart by colour-blind eyes too; each with a marker of its own.
LOOKS = [{"color": color, "marker": marker} for color, marker in zip(
    ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"), "os^DvPX")]
ENVS = {"pendulum": (3, 1, 16)}  # numbers of an observation, of an action; bytes in the ring
TILE = 64  # environments that share one reading of the weights (kRows)
WORDS = {"num_envs": "environments", "rollout_length": "rollout length"}
STEPS = ("env_steps_per_second", "environment steps/s")
DRAWN = {"env": STEPS, "rollout": STEPS,  # the metric that is drawn, and what its axis says
         "update": ("updates_per_second", "samples/s (updates/s x batch)")}


def title(report, text):
    """What is drawn, and the machine that it was measured on."""
    machine = report["machine"]
    forms = {"gpu": "{}", "cpu": "{}", "simd_level": "{}", "cores": "{} cores", "commit": "at {}"}
    words = [form.format(machine[key]) for key, form in forms.items() if machine.get(key)]
    return f"{text}\n{', '.join(words) or 'machine not named'}"


def si(value):
    """75.2 G: with the SI's prefix."""
    return EngFormatter(places=1, sep=" ")(value)


def note(axes, text, at, offset, **look):
    """A small text, `offset` points from the point `at`."""
    look = {"fontsize": "x-small", "va": "center", "annotation_clip": False, **look}
    axes.annotate(text, at, xytext=offset, textcoords="offset points", **look)


def rank(key, value):
    """What the values of a key are sorted by: numbers, networks by their size, other words."""
    if key == "network" and value:
        return 0, reports.parameters(value, 3, 1), ""
    return (1, 0, value or "") if value is None or isinstance(value, str) else (0, value, "")


def throughput(rows, suites, *keys):
    """{suite: its rows that have the keys}, for those of the suites that have such rows."""
    found = {suite: [row for row in rows if row["suite"] == suite
                     and row["metric"] == DRAWN[suite][0] and all(key in row for key in keys)]
             for suite in suites}
    return {suite: some for suite, some in found.items() if some}


def series(rows, x):
    """[(label, rows in the order of x)]: rows that differ in nothing but x and what was measured.
    The label says what tells a series from the others."""
    groups = {}
    for row in rows:
        keys = {key: value for key, value in row.items() if key not in (x, *reports.VALUES)}
        groups.setdefault(reports.identity(keys), (keys, []))[1].append(row)
    every = dict.fromkeys(key for keys, _ in groups.values() for key in keys)
    told_apart = [key for key in every
                  if len({str(keys.get(key)) for keys, _ in groups.values()}) > 1]
    result = []
    for keys, members in sorted(groups.values(), key=lambda group: [
            rank(key, group[0].get(key)) for key in told_apart]):
        words = [str(keys[key]) if isinstance(keys[key], str) else
                 f"{WORDS.get(key, key)} {keys[key]:,}" for key in told_apart if key in keys]
        result.append((", ".join(words), sorted(members, key=lambda row: rank(x, row[x]))))
    return result


def draw_lines(axes, rows, x, apart=False):
    """A line per series with the repeats' range as bars, its limit dashed, and the share of it
    where the series are few. With `apart`: points beside each other, without lines. Updates count
    as samples."""
    labels = sorted({row[x] for row in rows}, key=lambda value: rank(x, value))
    lines = series(rows, x)
    for index, (label, members) in enumerate(lines):
        look = LOOKS[index % len(LOOKS)]
        points, limits = [], []
        for row in members:
            scale = row["batch"] if row["suite"] == "update" else 1
            at, y = labels.index(row[x]), row["median"] * scale
            if apart:
                here = [i for i, (_, some) in enumerate(lines) if any(r[x] == row[x] for r in some)]
                at += 0.25 * (here.index(index) - (len(here) - 1) / 2)
            bars = [[y - row["min"] * scale], [row["max"] * scale - y]]
            axes.errorbar(at, y, yerr=bars, capsize=3, label=None if points else label or None,
                          linestyle="none", **look)
            points.append((at, y))
            if reports.is_positive(row.get("limit")):
                limits.append((at, row["limit"] * scale))
                if len(lines) <= 4:
                    note(axes, f"{100 * row['median'] / row['limit']:.0f}%", (at, y), (4, -9),
                         color=look["color"])
        if not apart:
            axes.plot(*zip(*points), color=look["color"])
        # Limits that no line joins are short strokes.
        strokes = [limits] if len(limits) > 1 and not apart else [
            [(at - 0.08, y), (at + 0.08, y)] for at, y in limits]
        for stroke in strokes:
            axes.plot(*zip(*stroke), linestyle="--", linewidth=1, color=look["color"])
    axes.set_xticks(range(len(labels)), [v if isinstance(v, str) else f"{v:,}" for v in labels])
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.grid(axis="y", alpha=0.3)


def finish(axes, xlabel, ylabel, log):
    """Labels, and a y axis with the SI's prefixes: from 0, or in logarithms."""
    axes.margins(y=0.12)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)


def draw_panels(report, panels, x, xlabel, what, apart=False):
    """A panel per entry of {title: rows}; in logarithms where its rows lie far apart."""
    if not panels:
        return None
    figure, axes = plt.subplots(1, len(panels), figsize=(max(7, 5.2 * len(panels)), 4.4),
                                squeeze=False, layout="constrained")
    for panel, (name, rows) in zip(axes[0], panels.items()):
        draw_lines(panel, rows, x, apart)
        panel.set_title(name)
        heights = [row[key] for row in rows for key in ("median", "limit") if key in row]
        finish(panel, xlabel, DRAWN[rows[0]["suite"]][1],
               log=x != "batch" and max(heights) > 8 * min(heights))
        if panel.get_legend_handles_labels()[0]:
            panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    figure.suptitle(title(report, what + " (dashed: limit)"))
    return figure


def draw_environments(report, rows):
    """Environment steps per second against the number of environments: env, rollout."""
    panels = throughput(rows, ("env", "rollout"), "num_envs")
    return draw_panels(report, panels, "num_envs", "environments",
                       "Throughput against environments")


def draw_batch(report, rows):
    """Samples per second against the batch; a panel per network: their speeds lie far apart. Those
    measured with one batch alone stand in the picture of networks."""
    updates = throughput(rows, ("update",), "batch", "network").get("update", [])
    panels = {network: [row for row in updates if row["network"] == network]
              for network in sorted({row["network"] for row in updates},
                                    key=lambda network: rank("network", network))}
    panels = {name: some for name, some in panels.items() if len({r["batch"] for r in some}) > 1}
    return draw_panels(report, panels, "batch", "batch (rows)", "Update: throughput against batch")


def draw_network(report, rows):
    """Updates and rollouts against the network, on one thread."""
    one_thread = [row for row in rows if row.get("threads", 1) == 1]
    panels = throughput(one_thread, ("update", "rollout"), "network")
    return draw_panels(report, panels, "network", "network",
                       "Throughput against network, one thread", apart=True)


def work(row):
    """FLOP and unavoidable bytes of one unit of a row's metric (docs/performance.md, "Bytes")."""
    obs, actions, record = ENVS[row["case"]]
    network = row["network"]
    if row["suite"] == "update":
        return (row["batch"] * reports.flop_per_sample(network, obs, actions),
                row["batch"] * record + 36 * reports.parameters(network, obs, actions))
    actor = sum(reports.weights(obs, reports.hidden_sizes(network), actions))
    return 2 * actor, record + 4 * actor / min(TILE, row["num_envs"])


def draw_roofline(report, rows):
    """FLOP/s against FLOP per byte: the ceilings of the suite machine, our updates and rollouts; on
    the GPU where there is one."""
    backend = "cuda" if any(row.get("backend") == "cuda" for row in rows) else "cpu"
    rows = [row for row in rows if row.get("backend") == backend and row.get("threads", 1) == 1]
    machine = [row for row in rows if row["suite"] == "machine"]
    ceilings, roofs = ([row for row in machine if row["metric"] == metric]
                       for metric in ("flop_per_second", "bytes_per_second"))
    rows = [row for row in rows if row["case"] in ENVS]
    ours = throughput(rows, ("update", "rollout"), "network")
    if not (ceilings and roofs and ours):
        return None
    figure, axes = plt.subplots(figsize=(8.8, 5.4), layout="constrained")
    points = {}  # (rank of the network, suite, network): [(FLOP per byte, FLOP/s)]
    for row in sum(ours.values(), []):
        flop, moved = work(row)
        key = (rank("network", row["network"]), row["suite"], row["network"])
        points.setdefault(key, []).append((flop / moved, flop * row["median"]))
    networks = sorted({key[0] for key in points})
    for (order, suite, network), dots in sorted(points.items()):
        look = LOOKS[networks.index(order) % len(LOOKS)]
        axes.scatter(*zip(*dots), label=f"{suite}, {network}", zorder=3, **look,
                     facecolors=look["color"] if suite == "update" else "none")
    top, steepest = (max(row["median"] for row in some) for some in (ceilings, roofs))
    left = top / steepest / 4
    right = 2 * max(x for dots in points.values() for x, _ in dots)
    for row in roofs:
        slope = row["median"]
        axes.plot([left, top / slope], [left * slope, top], color="black", linewidth=1)
        note(axes, f"{si(slope)}B/s {row['case']}", (1.2 * left, 1.2 * left * slope), (8, 0),
             bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    beside = math.inf  # where the last label stands; the next one at least so much lower
    for height, label in merged(ceilings):
        axes.plot([height / steepest, right], [height, height], color="black", linewidth=1)
        beside = min(height, 0.92 * beside)
        note(axes, f"{si(height)}FLOP/s {label}", (right, beside), (4, 0))
    axes.set_xscale("log")
    finish(axes, "FLOP per byte that cannot be avoided", "FLOP/s", log=True)
    axes.set_xlim(left, right)
    lowest = min(left * min(row["median"] for row in roofs),
                 *(y for dots in points.values() for _, y in dots))
    axes.set_ylim(lowest / 1.5, 1.5 * top)
    axes.legend(loc="lower right")
    figure.suptitle(title(report, "Roofline" + (", one thread" if backend == "cpu" else "")))
    return figure


def merged(ceilings):
    """[(height, label)] from the highest down; those within 4% of a line's first one share it."""
    lines = []
    for row in sorted(ceilings, key=lambda row: -row["median"]):
        if not lines or row["median"] < 0.96 * lines[-1][0]:
            lines.append((row["median"], []))
        shape = "x".join(f"{row[key]:.0f}" for key in ("m", "n", "k") if key in row)
        lines[-1][1].append(f"{row['case']} {shape}".strip())
    return [(height, names[0] + (f" and {len(names) - 1} more" if names[1:] else ""))
            for height, names in lines]


DRAWINGS = {  # name: function, the suites that it needs
    "roofline": (draw_roofline, "machine, and update or rollout"),
    "environments": (draw_environments, "env or rollout"),
    "batch": (draw_batch, "update, of more than one batch"),
    "network": (draw_network, "update or rollout")
}


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("reports", nargs="+", metavar="F", help="from `pendula bench --json F`")
    parser.add_argument("--out", type=pathlib.Path, help="folder of the pictures (that of F)")
    arguments = parser.parse_args(argv)
    for path in map(pathlib.Path, arguments.reports):
        report = reports.load(path)
        rows = [row for row in report["rows"] if all(reports.is_positive(row.get(key))
                                                     for key in reports.NUMBERS)]
        if len(rows) < len(report["rows"]):
            print(f"{path}: {len(report['rows']) - len(rows)} rows left out: not measured, or not "
                  "finite and above 0")
        folder = arguments.out or path.parent
        folder.mkdir(parents=True, exist_ok=True)
        for name, (draw, suites) in DRAWINGS.items():
            figure = draw(report, rows)
            if figure is None:
                print(f"{path}: {name} not drawn: no rows of the suites that it needs ({suites})")
                continue
            picture = folder / f"{path.stem}-{name}"
            figure.savefig(f"{picture}.svg", metadata={"Date": None})
            figure.savefig(f"{picture}.png", dpi=120)
            plt.close(figure)
            print(f"{picture}.svg")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except reports.BadReport as error:
        sys.exit(f"plot.py: {error}")
