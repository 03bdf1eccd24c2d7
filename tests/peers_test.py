"""scripts/bench-peers with programs that stand in for pendula and the runners: rounds, ratios, merging, what
is not measured, every way to fail.

python3 -m unittest tests/peers_test.py
"""

import importlib.machinery
import importlib.util
import json
import math
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "bench/peers")]
import peer_docs  # noqa: E402
import peer_rows  # noqa: E402
import rows as reports  # noqa: E402

loader = importlib.machinery.SourceFileLoader("bench_peers", str(ROOT / "scripts/bench-peers"))
bench_peers = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_peers", loader))
loader.exec_module(bench_peers)

WORKLOAD = json.loads((ROOT / "bench/peers/workload.json").read_text(encoding="utf-8"))
MACHINE = {"cpu": "Invented CPU", "cores": 2, "simd_level": "avx2", "version": "1.2", "commit": "0" * 12}
TRAINED = {"eval/mean_reward": -148.0, "time/time_elapsed": 2.5, "time/evaluation": 0.5}

# Notes how it was called, and answers from files beside it.
PENDULA = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >>"$here/calls"
case "$*" in
  "bench env"*--list*) echo "env cpu pendula num_envs=65536 rollout_length=1 threads=1 env_steps_per_second" ;;
  "bench env"*) cat "$here/bench.json" ;;
  train*) [ ! -f "$here/broken" ] || { echo "it fell over" >&2; exit 3; }
          [ ! -f "$here/diverged" ] || exit 5
          cat "$here/train.json" ;;
esac
"""
# Stands in for every interpreter: its answer is the file <program>-<work>.json beside it.
PYTHON = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >>"$here/runs"
program=$(echo "$*" | sed 's/.*--program \\([^ ]*\\).*/\\1/')
work=$(echo "$*" | sed 's/.*--work \\([^ ]*\\).*/\\1/')
case $program in
  sb3-td3) sleep 60 & sleep 60 ;;
  rejax-td3) echo "a warning" >&2; echo "ImportError: /opt/somewhere/deep/lib.so, see https://x.org/y" >&2; exit 1 ;;
  sbx-ddpg) echo "not a report" ;;
  *) cat "$here/$program-$work.json" ;;
esac
"""


def row(work, program, values, **more):
    result = {"suite": "race", "case": work, "backend": "cpu", "program": program, "threads": 1,
              "metric": peer_rows.METRICS[work]}
    return {**result, **more, **peer_rows.figures(values)}


class Statistics(unittest.TestCase):
    def test_as_the_benchmarks_have_them(self):
        found = peer_rows.statistics([5.0, 1.0, 2.0, 3.0, 4.0])
        self.assertEqual(found, {"median": 3.0, "min": 1.0, "max": 5.0, "spread": 2 / 3})
        self.assertEqual(peer_rows.statistics([1.0, 2.0])["median"], 1.5)
        self.assertEqual(peer_rows.statistics([7.0])["spread"], 0.0)

    def test_a_number_that_is_none(self):
        nothing = dict.fromkeys(("median", "min", "max", "spread"))
        self.assertEqual(peer_rows.statistics([1.0, math.nan, 2.0]), nothing)
        self.assertEqual(peer_rows.statistics([]), nothing)

    def test_a_seed_without_end_is_later_than_any(self):
        found = peer_rows.statistics([5.0, None, 6.0])
        self.assertEqual((found["median"], found["min"], found["max"]), (6.0, 5.0, None))
        self.assertIsNone(peer_rows.statistics([5.0, None])["median"])
        self.assertEqual(peer_docs.seconds(row("solve", "jax", [5.0, None, 6.0])), "6 (1 of 3 did not)")


class Rows(unittest.TestCase):
    def test_ratios(self):
        rows = [row("fixed", "pendula", [2.0]), row("fixed", "pendula", [1.0], threads=2),
                row("fixed", "jax", [3.0]), row("fixed", "jax", [3.0], threads=2),
                row("fixed", "jax", [3.0], backend="cuda"), row("fixed", "sbx-td3", [math.nan]),
                row("env", "pendula", [8e6], num_envs=16), row("env", "envpool", [2e6], num_envs=16),
                row("env", "envpool", [2e6], num_envs=1)]
        ratios = [peer_rows.ratio(one, rows) for one in rows]
        self.assertEqual(ratios, [1.0, 1.0, 1.5, 3.0, None, None, 1.0, 4.0, None])
        rows[0]["median"] = None  # ours is not known
        self.assertIsNone(peer_rows.ratio(rows[2], rows))

    def test_joining_repeats(self):
        one = {**row("fixed", "jax", [3.0]), "returns": [-150.0]}
        two = {**row("fixed", "jax", [4.0]), "returns": [-160.0]}
        joined = peer_rows.joined([one], [two])
        self.assertEqual(len(joined), 1)
        self.assertEqual((joined[0]["values"], joined[0]["returns"], joined[0]["median"], joined[0]["repeats"]),
                         ([3.0, 4.0], [-150.0, -160.0], 3.5, 2))
        failed = {key: one[key] for key in ("suite", "case", "backend", "program", "threads", "metric")}
        failed["not_measured"] = "it took too long"
        self.assertEqual(peer_rows.joined(joined, [failed]), joined)
        self.assertEqual(peer_rows.joined([failed], [one]), [one])

    def test_merging_replaces_a_group(self):
        jax, torch = row("fixed", "jax", [3.0]), row("fixed", "torch-eager", [9.0])
        many, few = row("env", "jax", [1e6], num_envs=65536), row("env", "jax", [1e5], num_envs=1)
        again = row("fixed", "jax", [2.5], date="2030-01-01")
        self.assertEqual(peer_rows.merged([jax, torch, many], [again]), [torch, many, again])
        self.assertEqual(peer_rows.merged([many, torch], [few]), [torch, few])
        failed = {**jax, "not_measured": "no room"}
        self.assertEqual(peer_rows.merged([jax, torch], [failed]), [jax, torch])
        self.assertEqual(peer_rows.merged([torch], [failed]), [torch, failed])

    def test_saving(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "new/peers.json"
            self.assertEqual(peer_rows.load(path)["rows"], [])
            peer_rows.save(path, {"machine": {}, "rows": [{"suite": "race", "case": "fixed", "metric": "seconds",
                                                           "values": [math.nan, 1.0]}]})
            self.assertEqual(peer_rows.load(path)["rows"][0]["values"], [None, 1.0])
            path.write_text("{", encoding="utf-8")
            with self.assertRaisesRegex(reports.BadReport, "cut short"):
                peer_rows.load(path)


class Bench(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.program("pendula", PENDULA)
        self.program("python", PYTHON)
        self.answer("train", TRAINED)
        self.answer("bench", {"machine": MACHINE, "rows": [
            {"suite": "env", "case": "pendulum", "backend": "cpu", "num_envs": 65536, "rollout_length": length,
             "threads": 1, "metric": "env_steps_per_second", "repeats": 11, "median": rate, "min": rate,
             "max": rate, "spread": 0.01} for length, rate in ((1, 1e8), (32, 3e8))]})
        self.fixed("jax", 3.0, -150.0)

    def program(self, name, text):
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)

    def answer(self, name, value):
        (self.folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")

    def fixed(self, name, seconds, reached):
        rows = [{**row("fixed", name, [value], metric=metric), "returns": [reached], "version": f"{name} 1.0",
                 "date": "2030-01-02T03:04:05Z", "algorithm": "DDPG", "updates_per_step": 1}
                for metric, value in (("seconds", seconds), ("seconds_from_start", seconds and seconds + 2))]
        self.answer(f"{name}-fixed", {"machine": {}, "rows": rows})

    def command(self, *arguments):
        return [sys.executable, str(ROOT / "scripts/bench-peers"), "--pendula", str(self.folder / "pendula"),
                "--python", str(self.folder / "python"), "--results", str(self.folder / "results"), "--device",
                "cpu", "--cores", "1", *arguments]

    def bench(self, *arguments):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False)

    @property
    def file(self):
        return self.folder / "results/invented-cpu-avx2-2-cores/peers.json"

    def rows(self):
        return {(one["program"], one["case"], one["metric"]): one for one in peer_rows.load(self.file)["rows"]}

    def test_equal_work_by_turns(self):
        done = self.bench("--work", "fixed", "--only", "pendula", "jax", "--seeds", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = self.rows()
        mine, jax = rows["pendula", "fixed", "seconds"], rows["jax", "fixed", "seconds"]
        self.assertEqual((mine["values"], mine["returns"]), ([2.0] * 3, [-148.0] * 3))  # without the evaluation
        self.assertEqual((jax["repeats"], jax["median"], jax["version"]), (3, 3.0, "jax 1.0"))
        self.assertIn("commit 000000000000", mine["version"])
        table = [" ".join(line.split()) for line in done.stdout.splitlines()]
        self.assertIn("fixed jax DDPG 1 1 seconds 3 3 1.50x -150.0 -150.0", table)
        self.assertIn("fixed pendula DDPG 1 1 seconds 2 3 -148.0 -148.0", table)
        runs = (self.folder / "runs").read_text(encoding="utf-8").splitlines()
        self.assertEqual([line.split("--seed ")[1].split()[0] for line in runs], ["1", "2", "3"])
        turns = [line for line in done.stderr.splitlines() if "repeat" in line]
        self.assertEqual([line.split(": ")[2].split(",")[0] for line in turns], ["pendula", "jax"] * 3)

    def test_what_is_measured_again_replaces(self):
        self.assertEqual(self.bench("--work", "fixed", "--only", "pendula", "jax", "--short").returncode, 0)
        self.fixed("jax", 5.0, -155.0)
        self.assertEqual(self.bench("--work", "fixed", "--only", "jax", "--short").returncode, 0)
        rows = self.rows()
        self.assertEqual(len(rows), 4)
        self.assertEqual((rows["jax", "fixed", "seconds"]["values"], rows["pendula", "fixed", "seconds"]["values"]),
                         ([5.0], [2.0]))
        report = json.loads(self.file.read_text(encoding="utf-8"))
        report["workload"]["fixed"]["steps"] = 7  # rows of other work do not stand beside these
        self.file.write_text(json.dumps(report), encoding="utf-8")
        done = self.bench("--work", "fixed", "--only", "jax", "--short")
        self.assertIn("another workload", done.stderr)
        # Ours is measured again with whatever is asked for: a ratio is of one run.
        self.assertEqual(set(self.rows()), {(name, "fixed", metric) for name in ("jax", "pendula")
                                            for metric in ("seconds", "seconds_from_start")})

    def test_a_repeat_that_fails_is_told_beside_those_before(self):
        row = {"case": "solve", "backend": "cpu", "program": "jax", "threads": 1, "metric": "seconds_until_solved"}
        rows = [row | peer_rows.figures([1.0]), {**row, "program": "torch-eager"} | peer_rows.figures([2.0])]
        peer_rows.note_failure(rows, {**row, "not_measured": "it took more than 1 s"}, 2)
        self.assertEqual([one.get("ended") for one in rows],
                         ["repeat 2 and those behind it: it took more than 1 s", None])
        self.assertIn("jax: solve, 1 cores, repeat 2 and those behind it: it took more than 1 s",
                      "\n".join(peer_docs.notes(rows)))

    def test_what_fails_is_a_row_and_the_others_go_on(self):
        begin = time.monotonic()
        done = self.bench("--work", "fixed", "--short", "--limit", "1", "--only", "sb3-td3", "rejax-td3", "sbx-ddpg",
                          "rltools-td3", "jax")
        self.assertLess(time.monotonic() - begin, 30)  # and not the 60 s that the slow one sleeps
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = self.rows()
        why = {name: rows[name, "fixed", "seconds"]["not_measured"]
               for name in ("sb3-td3", "rejax-td3", "sbx-ddpg", "rltools-td3")}
        self.assertEqual(why["sb3-td3"], "python sb3.py took more than 1 s")
        self.assertEqual(why["rejax-td3"], "python rejax_td3.py ended with 1: ImportError: lib.so, see (address)")
        self.assertEqual(why["sbx-ddpg"], "sbx_run.py printed no report")
        self.assertIn("rltools_run.py ended with 1", why["rltools-td3"])
        self.assertEqual(rows["jax", "fixed", "seconds"]["median"], 3.0)
        self.assertIn("not measured: python sb3.py took more than 1 s", done.stdout)

    def test_ours_that_fails_is_an_error(self):
        (self.folder / "broken").touch()
        done = self.bench("--work", "fixed", "--short", "--only", "pendula", "jax")
        self.assertEqual(done.returncode, 1)
        self.assertIn("it fell over", self.rows()["pendula", "fixed", "seconds"]["not_measured"])
        (self.folder / "broken").unlink()
        self.answer("train", {"eval/mean_reward": -148.0})
        self.assertEqual(self.bench("--work", "fixed", "--short", "--only", "pendula").returncode, 1)
        self.program("pendula", "#!/bin/sh\necho '{}'\n")
        done = self.bench("--work", "fixed")
        self.assertEqual(done.returncode, 1)
        (self.folder / "pendula").unlink()
        self.assertIn("there is no such program", self.bench().stderr)

    def test_a_return_that_is_none(self):
        self.answer("train", {**TRAINED, "eval/mean_reward": None})
        self.fixed("jax", None, None)
        done = self.bench("--work", "fixed", "--short", "--only", "pendula", "jax")
        table = [" ".join(line.split()) for line in done.stdout.splitlines()]
        self.assertIn("fixed pendula DDPG 1 1 seconds 2 1 not measured not measured", table)
        self.assertIn("fixed jax DDPG 1 1 seconds not measured 1 not measured not measured not measured", table)

    def test_random_steps(self):
        rate = {**row("env", "gymnax", [1e7], num_envs=65536), "version": "gymnax 1", "differs": "no ring"}
        self.answer("gymnax-env", {"machine": {}, "rows": [rate]})
        done = self.bench("--work", "env", "--short", "--only", "pendula", "gymnax")
        self.assertEqual(done.returncode, 0, done.stderr)
        table = [" ".join(line.split()) for line in done.stdout.splitlines()]
        self.assertIn("env gymnax 1 env_steps_per_second, 65,536 environments 10 M 1 30x", table)
        calls = (self.folder / "calls").read_text(encoding="utf-8")
        self.assertIn("--filter num_envs=65536 ", calls)  # those that it has
        self.assertIn("has no row of that many environments", done.stdout)

    def test_learning(self):
        solved = {**TRAINED, "time/total_timesteps": 4000, "stopped_by": "stop.eval_return"}
        self.answer("train", solved)
        self.assertEqual(self.bench("--work", "solve", "--only", "pendula", "--seeds", "2").returncode, 0)
        rows = self.rows()
        self.assertEqual(rows["pendula", "solve", "steps_until_solved"]["values"], [4000, 4000])
        alone, whole = (rows["pendula", "solve", "seconds_until_solved" + end]["values"]
                        for end in ("", "_with_evaluation"))
        self.assertAlmostEqual(whole[1] - alone[1], TRAINED["time/evaluation"], places=9)
        call = (self.folder / "calls").read_text(encoding="utf-8").splitlines()[-1]
        for words in ("configs/pendulum.json seed=2 stop.eval_return=-200 total_timesteps=20000", "--threads 1",
                      "eval.episodes=256 eval.final_episodes=4096"):
            self.assertIn(words, call)

    def test_a_seed_that_does_not_solve_it(self):
        self.answer("train", {**TRAINED, "time/total_timesteps": 20000, "stopped_by": "total_timesteps"})
        done = self.bench("--work", "solve", "--only", "pendula", "--short")
        self.assertEqual(self.rows()["pendula", "solve", "seconds_until_solved"]["values"], [None])
        self.assertIn("no end (1 of 1 did not)", done.stdout)
        (self.folder / "diverged").touch()
        self.bench("--work", "solve", "--only", "pendula", "--short")
        mine = self.rows()["pendula", "solve", "steps_until_solved"]
        self.assertEqual((mine["values"], mine["returns"], mine["median"]), ([None], [None], None))

    def test_ctrl_c_keeps_what_is_there(self):
        process = subprocess.Popen(self.command("--work", "fixed", "--short", "--only", "jax", "sb3-td3"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "sb3-td3" in line:
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, stderr)
        self.assertIn("what is done is kept", stderr)
        self.assertEqual(self.rows()["jax", "fixed", "seconds"]["median"], 3.0)
        self.assertIn("jax", stdout)

    def test_the_section_of_the_page(self):
        self.assertIn("Not measured", peer_docs.section(self.folder))
        self.bench("--work", "fixed", "--short", "--only", "pendula", "jax", "sbx-ddpg")
        (self.folder / "bench").mkdir()
        (self.folder / "results").rename(self.folder / "bench/results")
        page = peer_docs.section(self.folder)
        self.assertIn("| jax | DDPG | 1 | 1 | 3 | 1.50x | 5 | ", page)
        self.assertIn("Invented CPU, AVX2, 2 cores, ", page)
        self.assertIn("- Not measured (sbx-ddpg, fixed, 1): sbx_run.py printed no report.", page)
        self.assertNotIn(str(self.folder), page)

    def test_help_and_wrong_arguments(self):
        self.assertIn("peers.json", self.bench("--help").stdout)
        self.assertEqual(self.bench("--only", "tensorflow").returncode, 2)
        self.assertEqual(self.bench("--seeds", "0").returncode, 2)
        listed = self.bench("--list").stdout
        for name in bench_peers.PROGRAMS:
            self.assertIn(name, listed)


class Installing(unittest.TestCase):
    def test_a_failure_says_why_once(self):
        with tempfile.TemporaryDirectory() as folder:
            bench = bench_peers.Bench.__new__(bench_peers.Bench)
            bench.args = bench_peers.parse(["--venvs", folder, "--wheels", folder])
            bench.gpu, bench.pythons, bench.broken = "cpu", {}, {}
            calls = []

            def install(environment):
                calls.append(environment)
                raise bench_peers.Failure("python pip ended with 1: ERROR: No matching distribution")

            bench.install = install
            for _ in range(2):
                with self.assertRaisesRegex(bench_peers.Failure, "could not be installed: .*No matching"):
                    bench.python("jax")
            self.assertEqual(calls, ["jax"])

    def test_what_is_there_is_not_installed_again(self):
        with tempfile.TemporaryDirectory() as folder:
            bench = bench_peers.Bench.__new__(bench_peers.Bench)
            bench.args, bench.gpu = bench_peers.parse(["--venvs", folder]), "cuda"
            place = pathlib.Path(folder) / "jax"
            place.mkdir()
            (place / "packages.txt").write_text("jax[cuda13]==0.10.2\nnumpy==2.4.6\n", encoding="utf-8")
            self.assertEqual(bench.install("jax"), str(place / "bin/python"))


if __name__ == "__main__":
    unittest.main()
