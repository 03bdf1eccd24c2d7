"""scripts/tune with programs that stand in for pendula and Optuna's proposals in their simplest form; what it
decides with (bench/tuning.py).

python3 -m unittest tests/tune_test.py
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench"))
import tuning  # noqa: E402

STUDY = {"config": "configs/pendulum.json", "solved": -200, "steps": 1000, "holds": True,
         "evaluate_every": 100, "episodes": 64, "seeds": 2, "agents": 3, "finalists": 2, "final_seeds": 4,
         "search": {"env.num_envs": {"choice": [4, 8]}, "ddpg.tau": {"log_uniform": [0.01, 0.1]}}}


class Middle:
    """A trial of Optuna that takes the middle."""

    def suggest_categorical(self, _, choices):
        return choices[len(choices) // 2]

    def suggest_int(self, _, low, high):
        return (low + high) // 2

    def suggest_float(self, _, low, high, log):
        return math.sqrt(low * high) if log else (low + high) / 2


class Tuning(unittest.TestCase):
    def test_the_studies_that_are_there_are_whole_and_their_configs_too(self):
        files = sorted((ROOT / "bench/studies").glob("*.json"))
        self.assertGreaterEqual(len(files), 3)
        for file in files:
            study = json.loads(file.read_text(encoding="utf-8"))
            tuning.check_study(study, file.name)
            self.assertEqual(study["config"], f"configs/{file.name}")
            self.assertTrue((ROOT / study["config"]).exists())

    def test_a_broken_study_is_told_in_a_sentence(self):
        def broken(**changes):
            with self.assertRaises(tuning.BadStudy) as caught:
                tuning.check_study({**STUDY, **changes}, "s.json")
            return str(caught.exception)

        self.assertIn('"steps" is missing', broken(steps="many"))
        self.assertIn('"holds" is missing, or no bool', broken(holds=1))
        self.assertIn('"seeds"', broken(seeds=True))
        self.assertIn('unknown key "stepz"', broken(stepz=1))
        self.assertIn("no key to search over", broken(search={}))
        self.assertIn("/search/a: not a distribution", broken(search={"a": [1, 2]}))
        self.assertIn("/search/a: not a distribution", broken(search={"a": {"normal": [1, 2]}}))
        self.assertIn("the smallest and the largest", broken(search={"a": {"uniform": [2, 1]}}))
        self.assertIn("the smallest and the largest", broken(search={"a": {"uniform": [math.nan, 1]}}))
        self.assertIn("at least one value", broken(search={"a": {"choice": []}}))

    def test_suggestions_are_of_each_kind_and_rounded(self):
        study = {"search": {"a": {"choice": [[64, 64], [32]]}, "b": {"int_uniform": [1, 9]},
                            "c": {"log_uniform": [1e-4, 1e-2]}, "d": {"uniform": [0, 0.246913]}}}
        self.assertEqual(tuning.suggest(Middle(), study), {"a": [32], "b": 5, "c": 1e-3, "d": 0.123})
        self.assertEqual(tuning.suggest(Middle(), study, lambda key: key == "b"), {"b": 5})

    def test_a_seed_is_solved_when_it_first_is_and_where_it_must_hold_at_the_end_too(self):
        rows = [(100, -900.0), (200, -199.0), (300, -250.0), (400, -180.0)]
        self.assertEqual(tuning.steps_to_solve(rows, STUDY), 200)
        self.assertIsNone(tuning.steps_to_solve(rows[:3], STUDY))
        self.assertEqual(tuning.steps_to_solve(rows[:3], {**STUDY, "holds": False}), 200)
        self.assertIsNone(tuning.steps_to_solve(rows[:1], STUDY))
        self.assertIsNone(tuning.steps_to_solve([], STUDY))
        self.assertIsNone(tuning.steps_to_solve([(100, None)], STUDY))  # it diverged
        self.assertIsNone(tuning.steps_to_solve([(100, math.nan)], STUDY))

    def test_the_objective_minds_the_worst_seed(self):
        self.assertEqual(tuning.objective([1.0, 2.0, 3.0, 6.0]), 2.5 + 0.25 * 3.5)
        self.assertLess(tuning.objective([2.0, 2.0, 2.0]), tuning.objective([2.0, 2.0, 2.1]))
        for bad in ([], [1.0, math.nan], [1.0, math.inf]):
            self.assertEqual(tuning.objective(bad), math.inf)
        self.assertEqual(tuning.steps_counted([300, None], STUDY), [300, 2000])

    def test_proposals_of_one_run_have_the_same_seeds(self):
        trials = [{"env.num_envs": 4, "ddpg.tau": 0.01}, {"env.num_envs": 4, "ddpg.tau": 0.02}]
        self.assertEqual(tuning.population(trials, {"ddpg.tau"}, range(101, 103)),
                         ["env.num_envs=4", "ddpg.tau=[0.01, 0.01, 0.02, 0.02]", "agents=4",
                          "seed=[101, 102, 101, 102]"])

    def test_which_keys_agents_may_differ_in_is_read_from_the_schema(self):
        schema = {"properties": {"ddpg": {"properties": {
            "tau": {"anyOf": [{"type": "number"}, {"type": "object", "properties": {"choice": {}}}]},
            "loss": {"enum": ["mse"]}}}, "seconds": {"anyOf": [{"type": "number"}, {"type": "null"}]}}}
        self.assertTrue(tuning.may_differ(schema, "ddpg.tau"))
        for key in ("ddpg.loss", "seconds", "env.mass"):
            self.assertFalse(tuning.may_differ(schema, key))

    def test_the_table_has_what_is_unknown_as_such(self):
        text = tuning.table(STUDY, [{"what": "shipped", "median s": 0.12345, "worst s": math.inf, "values": {}},
                                    {"what": "trial 1", "median s": 1234.5, "worst s": None,
                                     "values": {"env.num_envs": 8, "ddpg.tau": 0.02}}],
                            ["what", "median s", "worst s"])
        self.assertEqual(text.splitlines(), [
            "| what | median s | worst s | env.num_envs | ddpg.tau |", "|---|---|---|---|---|",
            "| shipped | 0.123 | - | - | - |", "| trial 1 | 1234 | - | 8 | 0.02 |"])
        self.assertTrue(math.isnan(min([1.0, math.nan, 2.0], key=tuning.nan_first)))


class Script(unittest.TestCase):
    def tune(self, *words):
        return subprocess.run([sys.executable, str(ROOT / "scripts/tune"), *words], capture_output=True,
                              text=True, check=False)

    def test_help_and_what_is_missing(self):
        self.assertIn("bench/studies/<config>.json", self.tune("--help").stdout)
        self.assertEqual(self.tune().returncode, 2)


if __name__ == "__main__":
    unittest.main()
