"""`pendula config schema` against the reader: any text gets the same verdict from both.

PENDULA_BINARY=build/test/pendula .venv/bin/python -m unittest tests/config_schema_test.py

What is tried comes from `pendula config docs`, which the schema's own code has no part in. The
reader's verdict is that on keys and values: relations between them are not in the schema.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from config_texts import (  # noqa: E402
    DISTRIBUTIONS, ODD, ODD_NAMES, STRINGS, around, dump, inside, keys_of_page, nested, odd_values, place_of,
    spellings)

BINARY = str(pathlib.Path(os.environ.get("PENDULA_BINARY", ROOT / "build/test/pendula")).resolve())
BATCH = 500  # files of one process


def pendula(*arguments, cwd=ROOT):
    done = subprocess.run([BINARY, *arguments], cwd=cwd, capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode in (0, 2), done.stderr
    return done.stdout


def problems_of(texts):
    """What the reader says of each text: a list of problems, empty where it is good."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for begin in range(0, len(texts), BATCH):
            names = []
            for i, text in enumerate(texts[begin:begin + BATCH]):
                names.append(f"{begin + i}.json")
                pathlib.Path(folder, names[-1]).write_text(text, encoding="utf-8")
            report = json.loads(pendula("config", "check", "--json", *names, cwd=folder))
            assert [file["file"] for file in report["files"]] == names
            found += [file["problems"] for file in report["files"]]
    return found


class ConfigSchema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.schema = json.loads(pendula("config", "schema"))
        cls.validator = jsonschema.Draft202012Validator(cls.schema)
        cls.keys = keys_of_page(pendula("config", "docs"))
        cls.envs = next(key for key in cls.keys if key.path == "env.id").words

    def compare(self, configs):
        """The verdicts, True for a good config; fails where the two are not the same."""
        texts = [dump(config) for config in configs]
        verdicts, differ = [], []
        for text, problems in zip(texts, problems_of(texts)):
            ours = all(problem["kind"] == "relation" for problem in problems)
            verdicts.append(ours)
            if ours != self.validator.is_valid(json.loads(text)):
                why = problems if not ours else [
                    f"{error.json_path}: {error.message}"
                    for error in self.validator.iter_errors(json.loads(text))]
                differ.append(f"{text[:400]}\n  {'schema' if ours else 'reader'} alone refuses: {why}")
        self.assertFalse(differ, f"{len(differ)} of {len(texts)}:\n" + "\n".join(differ[:5]))
        return verdicts

    def sections(self):
        return sorted({key.section for key in self.keys if key.section})

    def test_it_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(self.schema)
        self.assertEqual(self.schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
        self.assertEqual(json.loads(pendula("config", "schema", "--json", "--quiet")), self.schema)

    def test_keys_and_defaults_are_those_of_the_reader(self):
        for env in self.envs:
            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "c.json").write_text(dump({"env": {"id": env}}), "utf-8")
                shown = json.loads(pendula("config", "show", "--quiet", "c.json", cwd=folder))
            properties = dict(self.schema["properties"])
            self.assertEqual(properties.pop("$schema")["type"], "string")
            branch = [rule["then"] for rule in properties["env"]["allOf"]
                      if rule["if"]["properties"]["id"]["const"] == env]
            properties["env"] = branch[0]
            self.assertEqual(list(properties), list(shown))
            for name, value in shown.items():
                is_key = "default" in properties[name]
                values = {name: value} if is_key else value
                leaves = properties if is_key else properties[name]["properties"]
                if not is_key:
                    self.assertEqual(list(leaves), list(value))
                if name == "population":  # the one section in a section
                    name, values, leaves = "population.pbt", value["pbt"], leaves["pbt"]["properties"]
                    self.assertEqual(list(leaves), list(values))
                for leaf, default in values.items():
                    with self.subTest(env=env, key=f"{name}.{leaf}"):
                        self.assertTrue(leaves[leaf]["description"])
                        if leaf == "id":
                            self.assertEqual(leaves[leaf]["enum"], self.envs)
                        elif "default" in leaves[leaf]:
                            self.assertEqual(leaves[leaf]["default"], default)
                        else:
                            self.assertIn("; default: ", leaves[leaf]["description"])
                            path = leaf if is_key else f"{name}.{leaf}"
                            self.assertFalse(any(k.has_default for k in self.keys if k.path == path))

    def test_shipped_configs_are_good_to_both(self):
        files = sorted((ROOT / "configs").glob("*.json"))
        self.assertTrue(files)
        report = json.loads(pendula("config", "check", "--json", *map(str, files)))["files"]
        for file, ours in zip(files, report):
            with self.subTest(file=file.name):
                self.assertEqual(ours["problems"], [])
                self.validator.validate(json.loads(file.read_text("utf-8")))

    def test_the_schema_may_be_named_and_is_forgotten(self):
        named = {"$schema": "../config.schema.json", "seed": 3}
        wrong = [{"$schema": value} for value in (3, None, {}, ["x"])] + [{"env": named}]
        self.assertEqual(self.compare([named] + wrong), [True] + [False] * len(wrong))
        with tempfile.TemporaryDirectory() as folder:
            for name, config in (("named", named), ("not", {"seed": 3})):
                pathlib.Path(folder, name).write_text(dump(config), "utf-8")
            self.assertEqual(*(pendula("config", "show", name, cwd=folder) for name in ("named", "not")))

    def test_each_key_with_each_odd_value(self):
        configs = []
        for key in self.keys:
            configs += [key.config(value) for value in odd_values(key)]
        verdicts = self.compare(configs)
        self.assertGreater(sum(verdicts), 500)
        self.assertGreater(len(verdicts) - sum(verdicts), 500)

    def test_each_object_with_each_odd_name_and_value(self):
        configs = [value for value in ODD if dump(value) != "1e999"]
        for section in self.sections():
            configs += [inside(section, value) for value in ODD]
            configs += [inside(section, {name: {}}) for name in ODD_NAMES]
            configs += [inside(section, {key.name: key.default}) for key in self.keys]
        configs += [{name: 1} for name in ODD_NAMES + [key.name for key in self.keys]]
        for env in self.envs + ["", "Pendulum", "pendulum\n", None, 3, [], {}]:
            configs += [{"env": {"id": env, key.name: key.default}} for key in self.keys]
        verdicts = self.compare(configs)
        self.assertGreater(sum(verdicts), 50)
        self.assertGreater(len(verdicts) - sum(verdicts), 500)

    def good_value(self, rng, key):
        if key.per_agent and rng.random() < 0.3:
            name = rng.choice((None, "choice", *DISTRIBUTIONS))
            values = [self.one_good_value(rng, key) for _ in range(rng.randint(1, 5))]
            if name == "uniform" and key.whole:
                name = "choice"
            if name in ("log_uniform", "uniform", "int_uniform"):
                whole = key.whole or name == "int_uniform"
                high = min(int(key.high), 2 ** 64 - 1)
                values = [1, high] if whole else [key.high / 4, key.high / 2]
                name = "int_uniform" if whole else name
            return {name: values} if name else values
        return self.one_good_value(rng, key)

    def one_good_value(self, rng, key):
        if key.nullable and rng.random() < 0.3:
            return None
        if key.kind == "integer":
            low, high = key.low, key.high
            top = min(high, low + 10 ** rng.randint(0, 20))
            value = rng.choice((low, high, rng.randint(low, high), rng.randint(low, top)))
            return rng.choice(spellings(value))
        if key.kind == "number":
            within = rng.uniform(key.low, min(key.high, key.low + 10.0 ** rng.randint(-3, 300)))
            ends = [key.low] * (key.range is not None and key.range[1] == "[")
            ends += [key.high] * (key.range is not None and key.range[4] == "]")
            value = rng.choice([within] * 3 + ends)
            return rng.choice(spellings(value if value > key.low or ends else key.high / 2))
        if key.kind == "words":
            return rng.sample(key.words, rng.randint(0, len(key.words)))
        if key.kind == "list":
            draw = rng.randint if key.whole else rng.uniform
            return [rng.choice(spellings(draw(key.low, key.high))) for _ in range(rng.choice((0, 1, 2, 3, 16)))]
        if key.kind == "object":
            return rng.choice(({}, nested(rng.randint(1, 50)), {"\u00e9\n": [None, "\n", 1e300]}))
        if key.path == "name":
            letters = "abcXYZ019_-."
            return rng.choice(letters[:-1]) + "".join(rng.choices(letters, k=rng.randint(0, 99)))
        if key.path == "device":
            return rng.choice(("auto", "cpu", "cuda", f"cuda:{rng.randint(0, 999)}"))
        return rng.choice(key.words) if key.words else key.default

    def good_config(self, rng):
        env = rng.choice(self.envs)
        named = rng.random() < 0.7 or env != self.envs[0]
        config = {"env": {"id": env} if named else {}}
        share = rng.choice((0.05, 0.3, 1.0))
        for key in self.keys:
            if key.path == "env.id" or key.env not in (None, env) or rng.random() > share:
                continue
            place = place_of(config, key.section)
            place[key.name] = self.good_value(rng, key)
        if rng.random() < 0.2:
            config["$schema"] = rng.choice(STRINGS)
        items = list(config.items())
        rng.shuffle(items)
        return dict(items)

    def spoil(self, rng, config):
        """Makes a mistake in the config, or something that only looks like one."""
        key = rng.choice(self.keys)
        section = rng.choice(self.sections())
        way = rng.randrange(6)
        if way == 0:  # a value, of which most are wrong
            value = rng.choice(ODD)
        elif way == 1:  # a number near a bound
            while key.kind not in ("integer", "number"):
                key = rng.choice(self.keys)
            value = rng.choice(spellings(rng.choice(around(rng.choice((key.low, key.high))))))
        elif way == 2:  # the value of another key
            value = self.good_value(rng, rng.choice(self.keys))
        if way <= 2:
            if key.kind != "object" or "1e999" not in dump(value):
                place = place_of(config, key.section)
                if isinstance(place, dict):
                    place[key.name] = value
        elif way == 3:  # a name, here or there
            place = config if rng.random() < 0.3 else place_of(config, section)
            name = rng.choice(ODD_NAMES + [key.name, key.name + "_", key.name[1:]])
            if isinstance(place, dict) and not (place is config and name == "result"):
                place[name] = rng.choice((1, None, {}, key.default))
        elif way == 4:  # another environment than the parameters are of
            place = config.setdefault("env", {})
            if isinstance(place, dict):
                place["id"] = rng.choice(self.envs + ["cart", "pendulum\n", None, 3])
                place[rng.choice([k.name for k in self.keys if k.env])] = 1
        else:
            config[section.split(".")[0]] = rng.choice(ODD)

    def test_thousands_of_random_configs(self):
        rng = random.Random(20)
        configs = []
        for i in range(3000):
            config = self.good_config(rng)
            for _ in range(0 if i % 5 < 2 else rng.randint(1, 3)):
                self.spoil(rng, config)
            configs.append(config)
        verdicts = self.compare(configs)
        good = sum(verdicts)
        print(f"{good} of {len(verdicts)} random configs are good")
        self.assertGreater(good, 900)
        self.assertGreater(len(verdicts) - good, 900)


if __name__ == "__main__":
    unittest.main()
