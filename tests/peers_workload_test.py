"""bench/peers/workload.json: what it says, and that programs, runners and our config agree with it.

python3 -m unittest tests/peers_workload_test.py
"""

import ast
import importlib.machinery
import importlib.util
import json
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "bench/peers")]
import ours  # noqa: E402
import peer_rows  # noqa: E402

loader = importlib.machinery.SourceFileLoader("bench_peers", str(ROOT / "scripts/bench-peers"))
bench_peers = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_peers", loader))
loader.exec_module(bench_peers)

WORKLOAD = json.loads((ROOT / "bench/peers/workload.json").read_text(encoding="utf-8"))


class Workload(unittest.TestCase):
    def test_it_is_what_the_documents_say(self):
        fixed, solve = WORKLOAD["fixed"], WORKLOAD["solve"]
        self.assertEqual((fixed["steps"], fixed["warmup_steps"], fixed["batch"], fixed["hidden"]),
                         (10000, 100, 100, [64, 64]))
        self.assertEqual((fixed["gamma"], fixed["tau"], fixed["actor_lr"], fixed["critic_lr"], fixed["sigma"],
                          fixed["capacity"]), (0.99, 0.005, 1e-3, 1e-3, 0.1, 10000))
        self.assertEqual((solve["return"], solve["detect_episodes"], solve["confirm_episodes"], solve["steps"]),
                         (-200, 256, 4096, 20000))
        for name, program in solve["programs"].items():
            self.assertTrue(program["from"], name)
            unknown = set(program["values"]) - set(fixed) - {"target_sigma", "target_clip", "max_grad_norm",
                                                             "normalize_observations"}
            self.assertEqual(unknown, set(), name)

    def test_theirs_with_our_recipe_have_our_values(self):
        recipe = json.loads((ROOT / "configs/pendulum.json").read_text(encoding="utf-8"))
        of = {"batch": ("ddpg", "batch_size"), "gamma": ("ddpg", "gamma"), "tau": ("ddpg", "tau"),
              "warmup_steps": ("replay", "warmup_steps"),
              "actor_lr": ("optimizer", "actor_lr"), "critic_lr": ("optimizer", "critic_lr"),
              "sigma": ("noise", "sigma")}
        values = {key: recipe[part][name] for key, (part, name) in of.items()}
        values["capacity"] = WORKLOAD["solve"]["steps"]  # no record is overwritten, in theirs or ours
        self.assertGreaterEqual(recipe["replay"]["capacity"], WORKLOAD["solve"]["steps"])
        for name in ("torch-eager", "torch-compile", "torch-cuda-graph", "jax"):
            self.assertEqual(WORKLOAD["solve"]["programs"][name]["values"], values, name)

    def test_its_programs_are_there(self):
        names = {*bench_peers.PROGRAMS, "pendula", ""}
        self.assertLessEqual(set(WORKLOAD["solve"]["programs"]), names)
        for work in ("fixed", "population", "solve"):
            self.assertLessEqual(set(WORKLOAD[work]["repeats"]), names)
            self.assertGreaterEqual(WORKLOAD[work]["repeats"][""], 1)

    def test_every_runner_is_there_and_has_its_programs(self):
        runners = {path.name for path in (ROOT / "bench/peers").glob("*.py")} - \
            {"common.py", "ours.py", "pendulum.py"}
        self.assertEqual({program.runner for program in bench_peers.PROGRAMS.values()}, runners)
        for name, program in bench_peers.PROGRAMS.items():
            with self.subTest(name):
                text = (ROOT / "bench/peers" / program.runner).read_text(encoding="utf-8")
                self.assertIn(f'"{name}"', text)
                self.assertIn("main(", text)
                ast.parse(text)
                self.assertIn(program.environment, bench_peers.ENVIRONMENTS)
                self.assertLessEqual(set(program.works), set(peer_rows.WORKS))
                self.assertLessEqual(set(program.devices), {"cpu", "cuda"})

    def test_packages_are_pinned(self):
        for name, packages in bench_peers.ENVIRONMENTS.items():
            for package in packages:
                self.assertRegex(package, r"^[a-z0-9-]+(\{cuda\})?==[\d.]+$", name)

    def test_ours_is_the_same_work(self):
        config = ours.config(WORKLOAD["fixed"], 4096)
        self.assertEqual((config["total_timesteps"], config["replay"]["warmup_steps"], config["env"]["num_envs"]),
                         (10000, 100, 1))
        self.assertEqual(config["ddpg"], {"gamma": 0.99, "tau": 0.005, "batch_size": 100, "updates_per_step": 1})


if __name__ == "__main__":
    unittest.main()
