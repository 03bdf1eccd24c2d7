"""scripts/gpu-tune with programs that stand in for pendula and ncu: the tables, the page, every way to fail.

python3 -m unittest tests/gpu_tune_test.py
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Notes how it was called; its report and its GPU are files beside it.
PENDULA = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >>"$here/calls"
case $1 in
  doctor) cat "$here/doctor.json" ;;
  bench) [ ! -f "$here/broken" ] || { echo "noise"; echo "the GPU fell off" >&2; exit 3; }
         while [ $# -gt 1 ]; do [ "$1" != --json ] || cp "$here/report.json" "$2"; shift; done ;;
esac
"""
NCU = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >>"$here/ncu-calls"
case "$*" in *agents=132*) echo "==ERROR== no counters" >&2; exit 9 ;; esac
cat "$here/ncu.csv"
"""


def row(suite, network, batch, agents, plan, median, **more):
    result = {"suite": suite, "case": "pendulum", "backend": "cuda", "network": network, "batch": batch,
              "agents": agents, "plan": plan, "precision": "tf32", "metric": "updates_per_second",
              "repeats": 11, "median": median, "min": median, "max": median, "spread": 0.0123,
              "limit": 4 * median, "limit_from": "tensor_tf32", "percent_of_limit": 25.0}
    result.update(more)
    return result


class Tune(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        (self.folder / "bin").mkdir()
        self.program("bin/pendula", PENDULA)
        self.devices(["NVIDIA H200 SXM, compute capability 9.0, 143771 MiB"])
        self.report = {"machine": {"cpu": "Invented", "commit": "0" * 12}, "rows": [
            {"suite": "machine", "case": "fma", "backend": "cuda", "metric": "flop_per_second", "median": 6e13},
            row("population", "2x64", 128, 132, "block", 8.25e6),
            row("population", "2x64", 128, 132, "block", 62500, metric="updates_per_second_per_agent"),
            row("small-batch", "2x64", 128, 1, "block", 101e3),
            row("small-batch", "2x64", 128, 1, "grid", 11e3),
        ]}

    def program(self, name, text):
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)

    def devices(self, names):
        says = "2 GPUs" if names else "there is no NVIDIA driver; install one"
        doctor = {"cuda": {"available": bool(names), "says": says, "devices": names}}
        (self.folder / "bin/doctor.json").write_text(json.dumps(doctor), encoding="utf-8")

    def tune(self, *arguments):
        (self.folder / "bin/report.json").write_text(json.dumps(self.report), encoding="utf-8")
        path = f"{self.folder / 'tools'}:/usr/bin:/bin"
        return subprocess.run([sys.executable, str(ROOT / "scripts/gpu-tune"), "--pendula",
                               str(self.folder / "bin/pendula"), "--results", str(self.folder / "results"),
                               *arguments], env={**os.environ, "PATH": path}, capture_output=True, text=True,
                              timeout=60, check=False)

    def page(self):
        return (self.folder / "results/nvidia-h200-sxm/gpu-tune.md").read_text(encoding="utf-8")

    def fails(self, code, *pieces):
        done = self.tune()
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for piece in pieces:
            self.assertIn(piece, done.stderr)
        self.assertFalse((self.folder / "results").exists())

    def test_one_table_and_the_page(self):
        done = self.tune()
        self.assertEqual(done.returncode, 0, done.stderr)
        table = done.stdout.split("\n\n")[0].splitlines()
        self.assertEqual(table[0], "| suite | network | B | agents | plan | updates/s | spread | of limit |")
        self.assertEqual(table[2:], [
            "| population | 2x64 | 128 | 132 | block | 8.25 M | 1.2% | 25.0% |",
            "| small-batch | 2x64 | 128 | 1 | block | 101 k | 1.2% | 25.0% |",
            "| small-batch | 2x64 | 128 | 1 | grid | 11 k | 1.2% | 25.0% |"])
        self.assertIn("not measured (ncu was not found)", done.stdout)
        self.assertIn("commit 000000000000", self.page())
        self.assertIn("\n".join(table), self.page())
        written = (self.folder / "results/nvidia-h200-sxm/gpu-tune.json").read_text(encoding="utf-8")
        self.assertEqual(json.loads(written), self.report)
        calls = (self.folder / "bin/calls").read_text(encoding="utf-8").splitlines()
        self.assertEqual(calls[0], "doctor --json")
        self.assertTrue(calls[1].startswith("bench population small-batch --short --device cuda"), calls[1])
        self.assertEqual(len(calls), 2)

    def test_what_is_no_number_is_not_measured(self):
        self.report["rows"][1]["median"] = None  # how JSON has NaN
        del self.report["rows"][3]["percent_of_limit"]
        self.report["rows"][4] = {key: value for key, value in self.report["rows"][4].items() if key in (
            "suite", "case", "network", "batch", "agents", "plan", "metric")} | {"not_measured": "no memory"}
        out = self.tune().stdout
        self.assertIn("| population | 2x64 | 128 | 132 | block | not measured | 1.2% | 25.0% |", out)
        self.assertIn("| 101 k | 1.2% | not measured |", out)
        self.assertIn("| grid | not measured | not measured | not measured |", out)

    def test_the_profile(self):
        (self.folder / "tools").mkdir()
        self.program("tools/ncu", NCU)
        values = (("gpu__time_duration.sum", "ms", "2.50"),
                  ("sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active", "%", "31.4"),
                  ("l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum", "", "1,234"),
                  ("smsp__issue_active.avg.pct_of_peak_sustained_active", "%", "n/a"))
        lines = ['==PROF== Connected', '"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"']
        lines += [f'"0","train_agents","{name}","{unit}","{value}"' for name, unit, value in values]
        (self.folder / "tools/ncu.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = self.tune()
        self.assertEqual(done.returncode, 0, done.stderr)
        nothing = " | ".join(["not measured"] * 8)
        self.assertIn(f"| population | 2x64 | 128 | 132 | block | {nothing} |", done.stdout)
        self.assertIn("ncu --csv --target-processes ended with 9: ==ERROR== no counters", done.stderr)
        line = next(text for text in self.page().splitlines() if text.startswith("| small-batch") and "ms" in text)
        self.assertEqual(line, "| small-batch | 2x64 | 128 | 1 | block | 2.50 ms | 31.4 | not measured | "
                               "not measured | 1,234 | not measured | not measured | not measured |")
        calls = (self.folder / "tools/ncu-calls").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(calls), 2)  # this report has no row of the others
        self.assertIn("--filter network=2x64,batch=128,agents=1,plan=block", calls[0])
        self.assertIn("regex:train_agents", calls[0])

    def test_without_a_gpu(self):
        self.devices([])
        self.fails(3, "there is no GPU to tune for: there is no NVIDIA driver; install one")

    def test_what_goes_wrong(self):
        (self.folder / "bin/broken").touch()
        self.fails(1, "pendula bench population ended with 3: the GPU fell off")
        (self.folder / "bin/broken").unlink()
        self.report["rows"] = self.report["rows"][:1]
        self.fails(1, "no row of the suites population and small-batch")
        self.report["rows"] = []
        self.fails(1, "no rows")
        self.program("bin/pendula", "#!/bin/sh\necho '{}'\n")
        self.fails(1, "cannot read", "cuda")
        (self.folder / "bin/pendula").unlink()
        self.fails(1, "there is no such program")

    def test_help_and_unknown_options(self):
        self.assertIn("gpu-tune.md", self.tune("--help").stdout)
        self.assertEqual(self.tune("--nonsense").returncode, 2)


if __name__ == "__main__":
    unittest.main()
