"""What is made of bench/results/learning/*.json: their pictures, docs/results.md, the block "result"
of configs/*.json. scripts/learn uses it; bench/learning.py has what the numbers mean."""

import json
import pathlib
import re

import learning
import peer_docs
import race_docs

FOLDER = pathlib.PurePath("bench/results/learning")
PAGE = pathlib.PurePath("docs/results.md")
HEAD = """# Results

What the shipped configs reach. This page is made by `scripts/learn --table` from `bench/results/learning/*.json`, which
`scripts/learn CONFIG` wrote; nothing here is edited by hand, and what has no row was not measured.

Seeds are 1, 2, 3, ... The final policy of each is measured without noise over 4,096 episodes. IQM is the interquartile mean over
the seeds (Agarwal et al. 2021); [a, b] is a 95% bootstrap interval over the seeds, by percentiles of 10,000 resamples; worst is the
worst seed. `upright` is the mean of cos(theta) over the last 100 of 500 steps, -1 for each step that an episode
which left the track did not reach.
"""
THEIRS = """## Others' results

Theirs, as they published them, not measured here.

| source | setting | result |
|---|---|---|
| RL Zoo `benchmark.md` | Pendulum-v1, 20,000 steps, 750 episodes | DDPG -152.1 +- 94.3, TD3 -151.9 +- 90.2, SAC -157.0 +- 88.7 |
| RLtools zoo | Pendulum-v1, about 20,000 steps, 100 episodes | TD3 -138.6 +- 75.4 and -155.7 +- 81.5 |
| SB3, measured by a third party (5 seeds) | Pendulum-v1, steps to -200 | SAC 6,200, TD3 8,600 |
| RL Zoo | MountainCarContinuous, DDPG, 300,000 steps, OU noise 0.5 | 93.5 |

+- is the standard deviation over episodes, which the initial states cause; the standard error of a mean of 100
episodes is 8 to 9, of 750 3.3, of 4,096 1.4. On Pendulum a good policy stands between -135 and -155; -200 counts as solved.
"""


def draw(report, path):
    """The curve of a report as an SVG. Throws ImportError where there is no matplotlib."""
    import plot  # sets what makes the same report the same bytes

    criterion = learning.CRITERIA.get(pathlib.PurePath(report["config"]).stem)
    metric, points = report["curve"]["metric"], report["curve"]["points"]
    steps = [point["time/total_timesteps"] for point in points]
    figure, axes = plot.plt.subplots(figsize=(7, 4.4), layout="constrained")

    def column(of):
        return [learning.finite(value) for value in of]

    color = plot.LOOKS[0]["color"]
    for k in range(report["seeds"]):
        axes.plot(steps, column(point["values"][k] for point in points), color="0.6", linewidth=0.6,
                  label=None if k else "each seed")
    ends = [point["mean_interval"] or [None, None] for point in points]
    axes.fill_between(steps, column(low for low, _ in ends), column(high for _, high in ends),
                      color=color, alpha=0.25, linewidth=0, zorder=2.5,
                      label="95% bootstrap interval of the mean")
    axes.plot(steps, column(point["mean"] for point in points), color=color, linewidth=2.4,
              label="mean", zorder=3)
    axes.plot(steps, column(point["iqm"] for point in points), color=plot.LOOKS[1]["color"],
              linewidth=1.4, linestyle="--", label="IQM", zorder=3)
    if criterion and criterion.metric == metric:
        axes.axhline(criterion.each, color="black", linewidth=0.8, linestyle=":")
        plot.note(axes, f"{criterion.each}", (1, criterion.each), (3, 0),
                  xycoords=axes.get_yaxis_transform())
    axes.xaxis.set_major_formatter(plot.EngFormatter(sep=" "))
    axes.set_xlabel("environment steps of one agent")
    axes.set_ylabel(f"{learning.WORDS[metric]} (evaluation, without noise)")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.suptitle(f"{report['config']}, {report['seeds']} seeds\n"
                    f"{machine(report)}, at {report['machine']['commit']}", fontsize="medium")
    figure.savefig(path, metadata={"Date": None})
    plot.plt.close(figure)
    # matplotlib ends lines of paths with blanks, which git would warn about.
    text = pathlib.Path(path).read_text(encoding="utf-8")
    pathlib.Path(path).write_text(re.sub(r" +\n", "\n", text), encoding="utf-8")


def machine(report):
    """AMD EPYC (AVX2), 2 cores, CPU backend."""
    m = report["machine"]
    level = f" ({m['simd_level'].upper()})" if m.get("simd_level") else ""
    if m["device"] != "cpu":
        return f"{m.get('name', m['device'])}, {m['processor']}, {m['cores']} cores"
    return f"{m['processor']}{level}, {m['cores']} cores, CPU backend"


def seconds(value):
    return "not measured" if value is None else f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def busy(report):
    """Whether the machine had more to do meanwhile than it has cores: what wall times then say."""
    return report["machine"]["load"] > report["machine"]["cores"] + 0.5


def wall_time(report):
    wall = report["wall_seconds"]
    texts = []
    if "run" in wall:
        texts.append(f"{seconds(wall['run'])} for all {wall['agents']} in one run")
    alone = wall.get("alone", {})
    if alone:
        several = f"median {seconds(alone['median'])}, worst {seconds(alone['max'])}"
        texts.append(f"a seed alone: {several if len(alone['seeds']) > 1 else seconds(alone['max'])}")
    if wall.get("threads"):
        texts.append(f"{wall['threads']} thread{'s' if wall['threads'] > 1 else ''}")
    if busy(report):
        texts.append(f"**busy machine**, load average up to {report['machine']['load']}")
    return "; ".join(texts)


def taken(report):
    """Environment steps of a seed; where some stopped early, of half of them at most."""
    steps = sorted(run.get("time/total_timesteps", 0) for run in report["runs"])
    if steps[0] == steps[-1]:
        return f"{steps[0]:,}"
    return f"until solved: median {steps[len(steps) // 2]:,}, at most {steps[-1]:,}"


def row(report):
    metric = report["metric"]
    all_of = report[metric]
    low, high = all_of["iqm_interval"] or (None, None)
    number = [learning.number(metric, value) for value in
              (all_of["mean"], all_of["iqm"], low, high, all_of["min"])]
    met = {True: "met", False: "**missed**", None: "not judged"}[report["verdict"]["met"]]
    cells = [f"`{pathlib.PurePath(report['config']).stem}`",
             f"{report['experiment']['env']['num_envs']:,}", learning.WORDS[metric], report["seeds"],
             number[0], f"{number[1]} [{number[2]}, {number[3]}]", number[4],
             report["verdict"]["criterion"] or "none", met,
             taken(report), wall_time(report), machine(report),
             report["date"]]
    return "| " + " | ".join(map(str, cells)) + " |"


def recipes():
    lines = [f"| `{stem}` | {text} |" for stem, text in sorted(learning.RECIPES.items())]
    return "\n".join(["## Where the hyperparameters come from", "",
                      "`scripts/tune CONFIG` makes a study: the objective is the time to solve, with a penalty for the worst seed.",
                      "", "| config | hyperparameters |", "|---|---|", *lines]) + "\n"


def page(reports, beside=""):
    """docs/results.md. reports: {stem: report}; beside: the sections about races."""
    lines = ["| config | environments | measure | seeds | mean | IQM | worst | criterion | met? | steps | wall time | "
             "machine | date |", "|---" * 13 + "|"]
    lines += [row(report) for _, report in sorted(reports.items())]
    text = HEAD + "\n" + "\n".join(lines) + "\n\n" + recipes() + "\n" + beside + THEIRS + \
        "\n## Curves\n"
    for stem, report in sorted(reports.items()):
        words = learning.WORDS[report["curve"]["metric"]]
        text += (f"\n### {stem}\n\n{report['verdict']['said'].capitalize()}.\n\n"
                 f"![{words} of {stem} against environment steps](../{FOLDER / stem}.svg)\n")
    return text


def result_block(report, stem):
    """The value of "result" in configs/<stem>.json, as text."""
    def measure(metric):
        of = report[metric]
        ends = {"mean": of["mean"], "worst": of["min"], "best": of["max"]}
        return "{ " + ", ".join(f'"{key}": ' + ("null" if value is None else
                                                learning.number(metric, value))
                                for key, value in ends.items()) + " }"

    wall = report["wall_seconds"]
    times = {}
    if "alone" in wall:
        times = {key: round(wall["alone"][key], 1) for key in ("median", "max")
                 if wall["alone"][key] is not None}
    elif wall.get("run") is not None:
        times = {"run": round(wall["run"], 1), "agents": wall["agents"]}
    if times and busy(report):
        times["load"] = report["machine"]["load"]
    metrics = [learning.RETURN] + [report["metric"]] * (report["metric"] != learning.RETURN)
    lines = [f'"{metric}": {measure(metric)},' for metric in metrics]
    lines += [
        f'"seeds": {report["seeds"]}, "eval/episodes": {report["episodes"]}, "wall_seconds": '
        + ("{ " + json.dumps(times)[1:-1] + " }" if times else "null") + ",",
        f'"machine": {json.dumps(machine(report))}, "date": "{report["date"]}",',
        f'"from": "{FOLDER / stem}.json"']
    return "{\n    " + "\n    ".join(lines) + "\n  }"


def without_result(config):
    return {key: value for key, value in config.items() if key != "result"}


def with_result(text, block):
    """The text of a config with this "result"; the rest of it stays byte for byte."""
    found = re.search(r'"result"\s*:\s*', text)
    if found:
        end = found.end() + len(text[found.end():]) - len(text[found.end():].lstrip())
        end = json.JSONDecoder().raw_decode(text, end)[1]
        new = text[:found.end()] + block + text[end:]
    else:
        head, tail = re.fullmatch(r"(.*?)(\s*\}\s*)", text, re.DOTALL).groups()
        comma = "" if head.rstrip().endswith("{") else ","
        new = f'{head}{comma}\n  "result": {block}{tail}'
    config = json.loads(new)
    if config.get("result") != json.loads(block) or \
            without_result(config) != without_result(json.loads(text)):
        raise ValueError('its key "result" is not found: make it the last one')
    return new


def load(root):
    return {path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((root / FOLDER).glob("*.json"))}


def documents(root):
    """{path: text} of what the reports say, the page and the configs."""
    reports = load(root)
    beside = race_docs.section(root) + "\n" + peer_docs.section(root) + "\n"
    texts = {root / PAGE: page(reports, beside)}
    for stem, report in reports.items():
        path = root / "configs" / f"{stem}.json"
        if path.exists():
            texts[path] = with_result(path.read_text(encoding="utf-8"), result_block(report, stem))
    return texts


def write(root):
    """Writes what differs, and returns its paths."""
    changed = []
    for path, text in documents(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def check(root):
    """A sentence per fault: what does not agree with the reports."""
    faults = []
    for path, text in documents(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            faults.append(f"{path.relative_to(root)} is not what {FOLDER}/*.json say: run "
                          "scripts/learn --table")
    reports = load(root)
    for stem, report in reports.items():
        again = f"run scripts/learn configs/{stem}.json"
        config = root / "configs" / f"{stem}.json"
        if not (root / FOLDER / f"{stem}.svg").exists():
            faults.append(f"{FOLDER / stem}.svg is missing: {again}, with matplotlib")
        if not config.exists():
            faults.append(f"{FOLDER / stem}.json is of a config that is not in configs/: remove it")
        elif without_result(json.loads(config.read_text(encoding="utf-8"))) != report["experiment"]:
            faults.append(f"configs/{stem}.json has changed since {FOLDER / stem}.json: {again}")
    for config in sorted((root / "configs").glob("*.json")):
        made = json.loads(config.read_text(encoding="utf-8")).get("result", {}).get("from")
        if made is not None and config.stem not in reports:
            faults.append(f'the "result" of configs/{config.name} is from {made}, which is not there')
    return faults
