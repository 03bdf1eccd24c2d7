"""What tests/config_schema_test.py tries: odd values, bounds, names, and the ways to write them."""

import json
import math
import re
import struct


class Raw(str):
    """JSON as it is to stand in the text, as 1e3."""


def dump(value):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class Key:
    """A row of `pendula config docs`."""

    def __init__(self, path, allowed, default, env):
        """`default` is the cell: JSON in backquotes, or words."""
        self.section, _, self.name = path.rpartition(".")
        self.path, self.env, self.has_default = path, env, default.startswith("`")
        self.default = json.loads(default.strip("`")) if self.has_default else None
        self.nullable = allowed.endswith(", or null")
        self.per_agent = ", or one per agent" in allowed
        self.range = re.search(r"([\[(])([^\[(,]+), ([^\])]+)([\])])", allowed)
        self.words = re.findall(r'"([^"]*)"', allowed)
        self.kind = next((kind for begin, kind in (
            ("an integer", "integer"), ("a number", "number"), ("a finite number", "number"),
            ("an object", "object"), ("a list of some of", "words"), ("a list of", "list"), ("one of", "word"), ('"', "word"),
            ("1 to 100 letters", "word")) if allowed.startswith(begin)), "other")
        self.whole = "integer" in allowed
        if self.range:  # 2^64 - 1 is no float, 1e15 no int to Python
            self.low, self.high = (
                int(text) if text.lstrip("-").isdigit() else int(float(text)) if self.whole else float(text)
                for text in self.range.group(2, 3))
        else:
            self.low, self.high = -1e300, 1e300

    def config(self, value):
        """The config of this key alone."""
        object_ = {self.name: value}
        if self.env and self.name != "id":
            object_ = {"id": self.env, **object_}
        return inside(self.section, object_)


def inside(section, value):
    """{"a": {"b": value}} of "a.b", the value of ""."""
    for name in reversed(section.split(".") if section else []):
        value = {name: value}
    return value


def place_of(config, section):
    """The object of the section in the config, made where it is missing; None where no object is."""
    for name in section.split(".") if section else []:
        config = config.setdefault(name, {}) if isinstance(config, dict) else None
    return config


def keys_of_page(page):
    """The keys of docs/config.md."""
    keys, env = [], None
    for line in page.splitlines():
        if line.startswith("## "):
            found = re.search(r'"id": "([^"]+)"', line)
            env = found and found.group(1)
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) == 6 and cells[1].startswith("`"):
            keys.append(Key(cells[1].strip("`"), cells[2], cells[3], env))
    return keys


def to_single(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def next_single(value, direction):
    """The float32 beside a value that is one."""
    bits = struct.unpack("i", struct.pack("f", value))[0]
    if value == 0:
        return math.copysign(2.0 ** -149, direction)
    step = 1 if (direction > 0) == (value > 0) else -1
    return struct.unpack("f", struct.pack("i", bits + step))[0]


def around(value):
    """Values at and on both sides of a bound: as integers, doubles and floats of 32 bits."""
    near = [value, value - 1, value + 1, value * 2, -value]
    if abs(value) < 1e30:
        near += [math.nextafter(value, -math.inf), math.nextafter(value, math.inf)]
        if to_single(value) == value:
            for direction in (-1, 1):
                middle = (value + next_single(value, direction)) / 2
                near += [middle, math.nextafter(middle, -math.inf), math.nextafter(middle, math.inf)]
    return near


def spellings(value):
    """The ways to write a number that mean the same to a reader that makes a double of them."""
    forms = [json.dumps(value)]
    if value == int(value) and abs(value) < 2 ** 64:
        integer = int(value)
        forms.append(str(integer))
        if float(integer) == integer:
            digits = str(abs(integer)).rstrip("0") or "0"
            zeros = len(str(abs(integer))) - len(digits)
            sign = "-" if integer < 0 else ""
            forms += [f"{integer}.0", f"{integer}E+0", f"{sign}{digits}e{zeros}",
                      f"{sign}{digits[0]}.{digits[1:]}0e{len(digits) - 1 + zeros}"]
    return [Raw(form) for form in forms]


NUMBERS = [0, 1, 2, 3, 7, 0.5, 3.5, -1, -3, -0.5, 1e-3, 1e-50, 5e-324, -5e-324, 2 ** -150, 1e3, 1e6,
           1e9, 1e12, 2 ** 31, 2 ** 53, 2 ** 53 + 1, 2 ** 53 + 2, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1,
           2 ** 64, 2 ** 64 + 2 ** 12, -2 ** 63, -2 ** 63 - 1, 10 ** 17, 10 ** 19, 10 ** 20, 10 ** 40,
           -10 ** 20, 1e300, -1e300, 1.7976931348623157e308]
STRINGS = ["", "7", "true", "null", "run", "run\n", "\nrun", "run\r", "run\u2028", " run", "a.b", ".",
           "..", ".a", "a/b", "-", "_", "~", "a" * 100, "a" * 101, "\u00e9", "e\u0301", "r\u00fcn",
           "\u540d", "\U0001f600", "\x7f", "\\", '"', "auto", "auto\n", "Auto", "autocpu", "cpu\n", "cuda",
           "cuda:", "cuda:0", "cuda:00", "cuda:999", "cuda:1000", "cuda:-1", "cuda:1\n", "cuda:\u0663",
           "cuda:\uff11", "cuda|cpu", "relu", "paper", "gaussian", "ou", "bf16", "full", "huber"]
LISTS = [[], [[]], [[7]], [{}], [7], [0], [1], [8192], [8193], [7.0], [Raw("1e2")], [7.5], [None],
         [True], ["7"], ["ddpg.tau"], ["ddpg.tau", "noise.sigma"], ["ddpg.tau", "ddpg.tau"],
         ["ddpg.tau", None], ["ddpg.Tau"], [1] * 16, [1] * 17, [7, [7]], [2 ** 64], [Raw("1e999")], [-1, 7]]
OTHERS = [None, True, False, {}, {"a": 1}, {"id": "pendulum"}, {"": None}]


def nested(depth, inside=7):
    """Objects and lists inside each other, an object outside."""
    for i in range(depth):
        inside = {"a": inside} if i % 2 else [inside]
    return {"a": inside}


def distributions(numbers):
    """Distributions of these numbers, and what only looks like one."""
    found = []
    for name in DISTRIBUTIONS:
        found += [{name: [number, 0.75]} for number in numbers]
        found += [{name: [0.25, number]} for number in numbers]
    for name in DISTRIBUTIONS + ["unifrom", "Choice", "", "seed"]:
        found += [{name: value} for value in ([], [1], [1, 2], [1, 2, 3], [0.5], 1, None, {})]
    return found + [{"uniform": [0.25, 0.5], "choice": [1]}, {"choice": [1], "": None}]


DISTRIBUTIONS = ["log_uniform", "uniform", "int_uniform", "choice"]
SPELT_NUMBERS = [form for number in NUMBERS for form in spellings(number)]
ODD = NUMBERS + STRINGS + LISTS + OTHERS + [
    Raw("1e3"), Raw("1.0"), Raw("1e999"), Raw("-1e999"), Raw("-0"), Raw("-0.0"), nested(1), nested(40),
    [nested(70)]]
ODD_NAMES = ["x", "", " ", "a/b", "/", "~1", "gama", "Gamma", "gamma ", "seed\n", "\u00e9", "ddpg.gamma",
             "ddpg/gamma", "$schema", "$ref", "id", "hidden", "env", "result", "__proto__", "0"]


def odd_values(key):
    """What to try on one key: every odd value, and the numbers at the bounds in every spelling."""
    values = ODD + key.words + [word + "\n" for word in key.words]
    if key.kind in ("integer", "number"):
        near = [value for bound in (key.low, key.high) for value in around(bound)]
        values = values + SPELT_NUMBERS + [form for value in near for form in spellings(value)]
    if key.per_agent:
        near = [Raw(dump(value)) for value in [key.low, key.high, *around(key.low), *around(key.high)]]
        values = values + [[value] for value in near] + distributions(near + [7, "7", None, [7]])
    if key.kind == "object":  # no one looks into it, but the schema takes 1e999 for a number
        values = [value for value in values if "1e999" not in dump(value)]
    return values
