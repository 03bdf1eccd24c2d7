"""Reads what `pendula bench --json F` writes, for the scripts. Python's own library only.

A report is {"machine": {...}, "rows": [{...}, ...]}. A row's keys are what it is (suite, case,
network, batch, threads, ...) and what was measured (VALUES); the first ones name it.
"""

import json
import math
import re

VALUES = ("repeats", "median", "min", "max", "spread", "limit", "limit_from", "percent_of_limit",
          "flop_per_second", "samples_per_second", "returns", "unsolved", "not_measured")
NUMBERS = ("median", "min", "max")  # in every row
LIMITS = ("limit", "percent_of_limit")  # in a row that has a limit


class BadReport(Exception):
    """What is wrong with a report, in one sentence."""


def load(path):
    """The report in a file. Raises BadReport where there is none, or where it is not one."""
    try:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    except OSError as error:
        raise BadReport(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise BadReport(f"{path}: not JSON ({error}); was the run cut short?") from None
    if not isinstance(report, dict):
        raise BadReport(f"{path}: not a report of `pendula bench --json`: no object at the top")
    for key, kind in (("machine", dict), ("rows", list)):
        if not isinstance(report.get(key), kind):
            raise BadReport(
                f'{path}: not a report of `pendula bench --json`: no "{key}" at the top')
    if not report["rows"]:
        raise BadReport(f"{path}: no rows; was everything filtered out?")
    for row in report["rows"]:
        for key in ("suite", "case", "metric"):
            if not (isinstance(row, dict) and isinstance(row.get(key), str)):
                raise BadReport(f'{path}: a row without "{key}": {json.dumps(row)}')
    return report


def is_positive(value):
    """A finite number above 0. NaN is not; nor is null, which is how JSON writers put NaN."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            and value > 0)


def percentile(ordered, share):
    """Between the two nearest of the sorted values, linearly. They may end in infinities."""
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    if at == low or ordered[low] == ordered[high]:  # an infinity has no share
        return ordered[low]
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def identity(row):
    """What makes a row the same row in another report."""
    return tuple(sorted((key, str(value)) for key, value in row.items() if key not in VALUES))


def name(row):
    """A row as `pendula bench --list` names it: `update cpu network=2x64 batch=100 threads=1
    updates_per_second`."""
    words = [row.get("suite", ""), row.get("backend", "")]
    for key, value in row.items():
        if key not in ("suite", "backend", "metric", *VALUES):
            word = value if isinstance(value, str) else json.dumps(value)
            words.append(word if key == "case" else f"{key}={word}")
    return " ".join([*words, row.get("metric", "")])


def hidden_sizes(network):
    """[64, 64] for "2x64", [400, 300] for "400-300", [] for "none"."""
    if network == "none":
        return []
    depth_width = re.fullmatch(r"(\d+)x(\d+)", network)
    if depth_width:
        return [int(depth_width[2])] * int(depth_width[1])
    return [int(size) for size in network.split("-")]


def weights(inputs, hidden, outputs):
    """in x out of each layer."""
    sizes = [inputs, *hidden, outputs]
    return [a * b for a, b in zip(sizes, sizes[1:])]


def flop_per_sample(network, obs, action):
    """FLOP of one DDPG update, per row of the batch: 4 Fa + 6 Fc - Fa1 - 2 Fc1 + 2 A h1
    (docs/performance.md), with F = 2 sum(in x out) and index 1 the first layer."""
    hidden = hidden_sizes(network)
    actor, critic = weights(obs, hidden, action), weights(obs + action, hidden, 1)
    width = (hidden or [1])[0]
    return 2 * (4 * sum(actor) + 6 * sum(critic) - actor[0] - 2 * critic[0] + action * width)


def parameters(network, obs, action):
    """Weights and biases of actor and critic."""
    hidden = hidden_sizes(network)
    biases = sum(hidden) + action + sum(hidden) + 1
    return sum(weights(obs, hidden, action)) + sum(weights(obs + action, hidden, 1)) + biases
