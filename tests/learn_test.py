"""scripts/learn: trainings that stop and go on, and that the committed documents agree with the committed
results.

python3 -m unittest tests/learn_test.py

Trains with build/test/pendula, or with what the variable PENDULA_BINARY names.
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench"))
import learning  # noqa: E402
import learning_docs  # noqa: E402
import race_docs  # noqa: E402

loader = importlib.machinery.SourceFileLoader("learn", str(ROOT / "scripts/learn"))
learn = importlib.util.module_from_spec(importlib.util.spec_from_loader("learn", loader))
loader.exec_module(learn)

BINARY = os.environ.get("PENDULA_BINARY", str(ROOT / "build/test/pendula"))
TINY = {
    "name": "tiny", "device": "cpu", "total_timesteps": 2400, "env": {"id": "pendulum", "num_envs": 8},
    "actor": {"hidden": [16, 16]}, "critic": {"hidden": [16, 16]},
    "ddpg": {"batch_size": 32, "updates_per_step": 0.5},
    "replay": {"capacity": 2400, "warmup_steps": 400}, "report": {"interval": 400},
    "eval": {"interval": 800, "episodes": 16, "final_episodes": 32},
    "checkpoint": {"interval": 1200, "keep_last": 2}
}


def timeless(report):
    """A report without what wall time and the date decide."""
    report = json.loads(json.dumps(report))
    for key in ("wall_seconds", "date"):
        del report[key]
    for key in ("load", "threads"):
        del report["machine"][key]
    for row in report["runs"]:
        row.pop("wall_seconds", None)
    return report


class Trainings(unittest.TestCase):
    def setUp(self):
        self.assertTrue(pathlib.Path(BINARY).exists(),
                        f"there is no {BINARY}: build it, or name one with PENDULA_BINARY")
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        for number in (signal.SIGINT, signal.SIGTERM):  # which main() takes over
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.config = self.folder / "tiny.json"
        self.config.write_text(json.dumps(TINY), encoding="utf-8")

    def arguments(self, place, *more):
        return [str(self.config), "--binary", BINARY, "--run-dir", str(self.folder / place),
                "--out", str(self.folder / f"{place}.json"), *more]

    def learn(self, place, *more, code=0):
        """Runs the script in this process. Returns what it said, and the report if code is 0."""
        with contextlib.redirect_stdout(io.StringIO()) as out, \
                contextlib.redirect_stderr(io.StringIO()) as err:
            ended = learn.main(self.arguments(place, *more))
        said = out.getvalue() + err.getvalue()
        self.assertEqual(ended, code, said)
        report = self.folder / f"{place}.json"
        return said, json.loads(report.read_text()) if code == 0 else None

    def start(self, place, *more):
        return subprocess.Popen([sys.executable, str(ROOT / "scripts/learn"),
                                 *self.arguments(place, *more)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def await_checkpoint(self, place):
        """Until a training in the middle has saved something."""
        deadline = time.monotonic() + 60
        while not any((self.folder / place).glob("*/latest/checkpoints/step_*/manifest.json")):
            self.assertLess(time.monotonic(), deadline, "no checkpoint after 60 s")
            time.sleep(0.01)

    def test_agents_are_the_seeds_alone(self):
        # An angle of pendulum's stands for the swing-up's, so that playing back is compared too.
        with unittest.mock.patch.dict(learning.STEP_MEASURES, {"pendulum": {"upright": "state_0"}}):
            said, agents = self.learn("agents", "--seeds", "3", "--time-alone", "2")
            self.assertIn("raised to 4096", said)
            self.assertIn("to the last bit", said)
            said, alone = self.learn("alone", "--seeds", "3", "--one-by-one")
        self.assertIn("seed 3: return -", said)
        self.assertEqual(timeless(agents), timeless(alone))
        returns = [row["eval/mean_reward"] for row in agents["runs"]]
        self.assertEqual(len(set(returns)), 3)
        self.assertEqual(agents["eval/mean_reward"]["min"], min(returns))
        self.assertEqual(len({row["upright"] for row in agents["runs"]}), 3)
        self.assertEqual(agents["wall_seconds"]["agents"], 3)
        self.assertEqual(agents["wall_seconds"]["alone"]["seeds"], [1, 2])
        points = agents["curve"]["points"]
        self.assertEqual([p["time/total_timesteps"] for p in points], [800, 1600, 2400])
        self.assertEqual(points[-1]["values"], returns)
        # The numbers are those of the run by itself.
        done = subprocess.run(
            [BINARY, "train", str(self.config), "seed=2", "eval.final_episodes=4096", "--json", "--quiet",
             "--run-dir", str(self.folder / "plain")], check=True, stdout=subprocess.PIPE, text=True)
        self.assertEqual(json.loads(done.stdout)["eval/mean_reward"], returns[1])

    def test_what_differs_alone_is_a_fault(self):
        self.learn("agents", "--seeds", "2")
        record = next((self.folder / "agents").glob("agents-2/done.json"))
        changed = json.loads(record.read_text())
        changed["rows"][0][0]["eval/mean_reward"] += 1e-9
        record.write_text(json.dumps(changed))
        said, _ = self.learn("agents", "--seeds", "2", "--time-alone", code=2)
        self.assertIn("differs from agent 0", said)

    def test_killed_and_gone_on_with(self):
        long = ("--seeds", "2", "total_timesteps=24000", "checkpoint.interval=2400")
        script = self.start("killed", *long)
        self.await_checkpoint("killed")
        children = pathlib.Path(f"/proc/{script.pid}/task/{script.pid}/children").read_text().split()
        for pid in (script.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        script.communicate()
        self.assertFalse((self.folder / "killed/agents-2/done.json").exists(), "it came to its end")
        said, killed = self.learn("killed", *long)
        self.assertIn("going on in", said)
        _, whole = self.learn("whole", *long)
        self.assertEqual(timeless(killed), timeless(whole))
        self.assertGreater(killed["wall_seconds"]["run"], 0)

    def test_a_signal_ends_it_with_a_sentence(self):
        long = ("--seeds", "2", "--one-by-one", "total_timesteps=1000000")
        for number in (signal.SIGINT, signal.SIGTERM):
            place = signal.Signals(number).name
            script = self.start(place, *long)
            self.await_checkpoint(place)
            busy, _ = self.learn(place, *long, code=2)
            self.assertIn("at work in", busy)
            script.send_signal(number)
            said, _ = script.communicate(timeout=60)
            self.assertEqual(script.returncode, 128 + number, said)
            self.assertIn("The same command goes on:\n  scripts/learn", said)
            self.assertFalse((self.folder / place / "seed-1/done.json").exists())
            run = next((self.folder / place).glob("seed-1/latest/"))
            self.assertFalse((run / "result.json").exists(), "it was not told, and came to its end")
            # The training was told too: the folder is free again.
            self.learn(place, "--fresh", "--seeds", "1")

    def test_what_is_finished_is_not_trained_again(self):
        _, first = self.learn("a", "--seeds", "2", "--one-by-one")
        said, second = self.learn("a", "--seeds", "3", "--one-by-one")
        self.assertNotIn("seed 2: return", said)
        self.assertIn("seed 3: return", said)
        self.assertEqual(second["runs"][:2], first["runs"])

    def test_experiments_are_not_mixed(self):
        self.learn("a", "--seeds", "2")
        said, _ = self.learn("a", "--seeds", "2", "ddpg.gamma=0.9", code=2)
        self.assertIn("runs of another config and overrides", said)
        self.config.write_text(json.dumps({**TINY, "total_timesteps": 1600}))
        said, _ = self.learn("a", "--seeds", "2", code=2)
        self.assertIn("runs of another config; they are not mixed: --fresh", said)
        self.config.write_text(json.dumps({**TINY, "result": {"seeds": 2}}))  # of no meaning
        self.learn("a", "--seeds", "2")
        copy = self.folder / "pendula"
        copy.write_bytes(pathlib.Path(BINARY).read_bytes() + b"\0")
        copy.chmod(0o755)
        said, _ = self.learn("a", "--seeds", "2", "--binary", str(copy), code=2)
        self.assertIn("runs of another build", said)
        said, _ = self.learn("a", "--seeds", "2", "--binary", str(copy), "--fresh")
        self.assertNotIn("going on", said)
        (self.folder / "mine").mkdir()
        (self.folder / "mine/letter.txt").write_text("keep me")
        said, _ = self.learn("mine", "--fresh", code=2)
        self.assertIn("something else", said)
        self.assertTrue((self.folder / "mine/letter.txt").exists())

    def test_a_seed_that_diverged_is_null_and_misses(self):
        with unittest.mock.patch.dict(learning.CRITERIA, {
                "tiny": learning.Criterion(2, learning.RETURN, -5000, 1)}):
            self.learn("good", "--seeds", "2")
            deep = "critic.hidden=[16,16,16,16,16,16,16,16,16,16,16,16,16,16,16,16]"
            said, _ = self.learn("bad", "--seeds", "2", deep, "optimizer.critic_lr=10",
                                 "ddpg.reward_scale=1000000", code=1)
        self.assertIn("missed: 2 of 2 seeds reached no number", said)
        report = json.loads((self.folder / "bad.json").read_text())
        self.assertEqual([row["eval/mean_reward"] for row in report["runs"]], [None, None])
        self.assertIsNone(report["eval/mean_reward"]["mean"])

    def test_runs_that_stop_early_are_trained_alone(self):
        said, report = self.learn("a", "--seeds", "2", "stop.eval_return=-5000")
        self.assertIn("one seed after another: its stop.*", said)
        self.assertEqual([row["time/total_timesteps"] for row in report["runs"]], [800, 800])

    def test_seeds_that_overlap_are_refused(self):
        for more in ("seed=7", "agents=2"):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as ended:
                learn.main(self.arguments("a", more))
            self.assertEqual(ended.exception.code, 2)
        config = json.loads(self.config.read_text())
        self.config.write_text(json.dumps({**config, "agents": 2}))
        said, _ = self.learn("a", "--seeds", "2", code=2)
        self.assertIn("has 2 agents, whose seeds would overlap", said)

    def test_nonsense_is_refused(self):
        for more in (("other.json",), ("--seeds", "0"), ("--threads", "x")):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as ended:
                learn.main(self.arguments("a", *more))
            self.assertEqual(ended.exception.code, 2)
        said, _ = self.learn("a", "ddpg.gama=1", code=2)
        self.assertIn("exit code 2 of pendula config show", said)
        said, _ = self.learn("a", "--binary", str(self.folder / "none"), code=2)
        self.assertIn("build it first", said)
        self.assertNotIn("Error", said)


class Documents(unittest.TestCase):
    BLOCK = '{\n    "seeds": 2\n  }'

    def test_the_committed_ones_agree(self):
        self.assertEqual(learning_docs.check(ROOT), [])

    def test_every_config_says_where_its_hyperparameters_come_from(self):
        self.assertEqual(set(learning.RECIPES), {path.stem for path in (ROOT / "configs").glob("*.json")})
        for stem, text in learning.RECIPES.items():
            if text.startswith("a study"):
                self.assertIn(f"configs/{stem}.json", (ROOT / f"bench/results/tune/{stem}.md").read_text("utf-8"))
                self.assertTrue((ROOT / f"bench/studies/{stem}.json").exists())

    def test_the_table_of_a_race(self):
        def row(metric, median, most, **more):
            return {"suite": "race", "case": "fixed", "backend": "cpu", "threads": 2, "metric": metric, "repeats": 2,
                    "median": median, "max": most, "returns": [-150.0, -250.0], "unsolved": 0, **more}

        race = {"case": "pendulum", "threads": 1, "unsolved": 1}
        report = {"machine": {"cpu": "Invented", "cores": 2, "simd_level": "avx2"}, "rows": [
            {"suite": "machine", "case": "sgemm", "metric": "flop_per_second", "median": 1e9},
            row("seconds", 0.75, 0.8), row("seconds_from_start", 0.76, 0.81),
            row("seconds_until_solved", 0.05, 0.0625, **race),
            row("seconds_until_solved_with_evaluation", 0.09, 0.1, **race),
            row("steps_until_solved", 2304.0, 40000.0, **race, returns=[-150.0, None]),
            row("seconds", 1.0, 1.0, case="stopped", not_measured="stopped")]}
        self.assertEqual(race_docs.lines_of(report), [
            ["`fixed`", 2, 2, 0, "750 ms", "800 ms", "760 ms", "10,000", "-200.0", "-250.0"],
            ["`pendulum`", 1, 2, 1, "50 ms", "62.5 ms", "90 ms", "2,304", "-200.0", "-250.0"]])
        report["rows"][3]["returns"] = [-150.0, None]
        self.assertEqual(race_docs.lines_of(report)[1][-2:], ["diverged", "diverged"])
        self.assertIn("AVX2", race_docs.table(report))

    def test_the_rest_of_a_config_stays_byte_for_byte(self):
        for before, after in (('{\n  "seed": 1.50e0,\n  "result": { "a": [1] }\n}\n', "\n}\n"),
                              ('{ "result" : 1, "x": { "y": "}" } }', ', "x": { "y": "}" } }')):
            new = learning_docs.with_result(before, self.BLOCK)
            head = before[:before.index("result") + 8]
            self.assertTrue(new.startswith(head) and new.endswith(self.BLOCK + after), new)
            self.assertEqual(json.loads(new)["result"], {"seeds": 2})
        self.assertEqual(learning_docs.with_result('{\n  "x": {"y": 1}\n}\n', self.BLOCK),
                         '{\n  "x": {"y": 1},\n  "result": ' + self.BLOCK + "\n}\n")
        with self.assertRaisesRegex(ValueError, "last one"):
            learning_docs.with_result('{ "x": { "result": 1 } }', self.BLOCK)

    def test_what_does_not_agree_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for part in ("configs", "docs", "bench/results"):
                shutil.copytree(ROOT / part, root / part)
            self.assertEqual(learning_docs.check(root), [])
            page, config = root / learning_docs.PAGE, root / "configs/pendulum.json"
            for path, old, new, fault in (
                    (page, "| 20 |", "| 21 |", "docs/results.md is not what"),
                    (config, '"worst": -', '"worst": -1', "configs/pendulum.json is not what"),
                    (config, '"batch_size": 64', '"batch_size": 65', "has changed since")):
                text = path.read_text()
                self.assertIn(old, text)
                path.write_text(text.replace(old, new, 1))
                self.assertIn(fault, " ".join(learning_docs.check(root)))
                path.write_text(text)
            (root / learning_docs.FOLDER / "pendulum.svg").unlink()
            self.assertIn("pendulum.svg is missing", learning_docs.check(root)[0])
            (root / learning_docs.FOLDER / "pendulum.json").unlink()
            self.assertIn("which is not there", " ".join(learning_docs.check(root)))
            self.assertNotEqual(learning_docs.write(root), [])


if __name__ == "__main__":
    unittest.main()
