"""bench/check.py on reports that are whole and on broken ones: each fault gives a sentence.

python3 -m unittest tests/bench_check_test.py
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]
import bench_sample  # noqa: E402
import check  # noqa: E402
import rows as reports  # noqa: E402


def only(faults):
    """The one fault of a list."""
    assert len(faults) == 1, faults
    return faults[0]


class Load(unittest.TestCase):
    def load(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "report.json"
            path.write_text(text, encoding="utf-8")
            return reports.load(path)

    def test_a_whole_report(self):
        report = bench_sample.report()
        self.assertEqual(self.load(json.dumps(report)), report)

    def test_broken_files(self):
        row = '{"suite": "env", "case": "pendulum", "metric": "seconds"}'
        broken = (("", "not JSON"), ('{"machine": {}, "rows": [', "not JSON"), ("[]", "no object"),
                  ('{"rows": [%s]}' % row, 'no "machine"'), ('{"machine": {}}', 'no "rows"'),
                  ('{"machine": {}, "rows": []}', "no rows"),
                  ('{"machine": {}, "rows": [7]}', 'a row without "suite"'),
                  ('{"machine": {}, "rows": [%s, {"suite": "x"}]}' % row, 'a row without "case"'))
        for text, why in broken:
            with self.subTest(text=text), self.assertRaisesRegex(reports.BadReport, why):
                self.load(text)
        with self.assertRaisesRegex(reports.BadReport, "cannot be read"):
            reports.load("/there/is/no/such.json")


class Rows(unittest.TestCase):
    def setUp(self):
        self.rows = bench_sample.report()["rows"]
        self.listed = [reports.name(row) for row in self.rows]

    def test_a_whole_report_has_no_faults(self):
        self.assertEqual(check.check_rows(self.rows, self.listed), [])

    def test_names_are_those_of_the_list(self):
        row = {"suite": "machine", "case": "sgemm", "backend": "cpu", "m": 100, "rate": 0.5,
               "threads": 1, "precision": "fp32", "metric": "flop_per_second", "median": 1.0}
        self.assertEqual(reports.name(row), "machine cpu sgemm m=100 rate=0.5 threads=1 "
                                            "precision=fp32 flop_per_second")

    def test_a_missing_row(self):
        gone = reports.name(self.rows.pop(3))
        self.assertEqual(only(check.check_rows(self.rows, self.listed)).split(": ")[0], gone)

    def test_a_row_too_many(self):
        self.rows.append(dict(self.rows[0]))
        self.assertIn("2 rows of that name", only(check.check_rows(self.rows, self.listed)))
        self.rows[-1]["threads"] = 17
        self.assertIn("does not name", only(check.check_rows(self.rows, self.listed)))

    def test_numbers_that_are_none(self):
        limited = next(row for row in self.rows if "limit" in row)
        for row, key in ((self.rows[0], "median"), (self.rows[0], "min"), (self.rows[0], "max"),
                         (limited, "limit"), (limited, "percent_of_limit")):
            for bad in (math.nan, math.inf, None, 0, -1.5, "fast", True):
                with self.subTest(key=key, bad=bad):
                    good, row[key] = row[key], bad
                    self.assertIn(f"{key} is {bad}", only(check.check_rows(self.rows, self.listed)))
                    row[key] = good
        del self.rows[0]["median"]
        self.assertIn("median is missing", only(check.check_rows(self.rows, self.listed)))

    def test_a_row_that_was_not_measured(self):
        for key in (*reports.NUMBERS, "repeats", "spread"):
            del self.rows[0][key]
        self.rows[0]["not_measured"] = "there is no OpenBLAS"
        self.assertIn("not measured: there is no OpenBLAS",
                      only(check.check_rows(self.rows, self.listed)))

    def test_nan_is_read_from_a_file_as_nan(self):
        self.rows[0]["median"] = math.nan
        again = json.loads(json.dumps(self.rows))
        self.assertIn("median is nan", only(check.check_rows(again, self.listed)))


class Ratios(unittest.TestCase):
    def setUp(self):
        self.report = bench_sample.report()

    def row(self, **wanted):
        return check.find(self.report["rows"], **wanted)

    def test_a_report_that_reaches_the_targets(self):
        faults, reached = check.check_ratios(self.report, bench_sample.report())
        self.assertEqual(faults, [])
        self.assertEqual(len(reached), 8)  # two per network and batch, population, environments

    def test_shares_of_the_limit(self):
        bounds = (("2x64", 100, 0.7225), ("2x64", 128, 0.7225), ("2x256", 256, 0.8075))
        for network, batch, bound in bounds:
            row = self.row(suite="update", network=network, batch=batch, threads=1)
            good = dict(row)
            for share, fails in ((bound + 0.001, False), (bound - 0.001, True), (math.nan, True)):
                with self.subTest(network=network, batch=batch, share=share):
                    row["limit"] = row["median"] / share
                    faults, _ = check.check_ratios(self.report)
                    self.assertEqual(len(faults), int(fails))
                    self.assertTrue(not fails or f"{network}, B = {batch}" in faults[0])
                    row.update(good)
            del row["limit"]
            self.assertIn("no limit", only(check.check_ratios(self.report)[0]))
            row.update(good)

    def test_rows_of_a_gpu_do_not_count(self):
        row = self.row(suite="update", network="2x64", batch=100, threads=1)
        self.report["rows"].append({**row, "backend": "cuda", "median": 100 * row["median"]})
        self.assertEqual(self.row(suite="update", network="2x64", batch=100, threads=1), row)

    def test_two_threads(self):
        bounds = (("2x64", 100, 1.36), ("2x64", 128, 1.36), ("2x256", 256, 1.5725))
        for network, batch, bound in bounds:
            one, two = (self.row(suite="update", network=network, batch=batch, threads=n)
                        for n in (1, 2))
            good = two["median"]
            for times, fails in ((bound + 0.001, 0), (bound - 0.001, 1)):
                with self.subTest(network=network, batch=batch, times=times):
                    two["median"] = times * one["median"]
                    self.assertEqual(len(check.check_ratios(self.report)[0]), fails)
            # Beside two threads of OpenBLAS that do no more than one and a half times the work.
            limit = two["limit"]
            two["limit"] = 1.5 * one["limit"]
            for times, fails in ((bound + 0.001, 0), (bound - 0.001, 1)):
                two["median"] = 0.75 * times * one["median"]
                self.assertEqual(len(check.check_ratios(self.report)[0]), fails)
            two.update(median=good, limit=limit)

    def test_two_threads_of_a_population(self):
        one, two = (self.row(**check.POPULATION_ROW, threads=n) for n in (1, 2))
        for times, fails in ((1.616, 0), (1.614, 1)):  # 1.9 less 15%
            with self.subTest(times=times):
                two["median"] = times * one["median"]
                self.assertEqual(len(check.check_ratios(self.report)[0]), fails)
        two["median"] = 1.7 * one["median"]
        two["limit"] = math.nan
        self.assertIn("64 agents: no limit", only(check.check_ratios(self.report)[0]))
        self.report["rows"].remove(two)
        with self.assertRaisesRegex(reports.BadReport, "agents=64 .*threads=2: no row"):
            check.check_ratios(self.report)

    def test_one_core_has_no_two_threads(self):
        self.report["machine"]["cores"] = 1
        self.report["rows"] = [row for row in self.report["rows"] if row.get("threads") != 2]
        faults, reached = check.check_ratios(self.report)
        self.assertEqual(faults, [])
        self.assertIn("not measured (this machine has one core)", " ".join(reached))

    def test_environments_only_beside_results_that_reach_the_target(self):
        committed = bench_sample.report()
        self.row(**check.ENV_ROW)["median"] = 0.339e9
        self.assertEqual(check.check_ratios(self.report)[0], [])
        self.assertIn("65,536", only(check.check_ratios(self.report, committed)[0]))
        check.find(committed["rows"], **check.ENV_ROW)["median"] = 0.399e9
        self.assertEqual(check.check_ratios(self.report, committed)[0], [])

    def test_a_row_that_a_target_needs(self):
        row = self.row(suite="update", network="2x64", batch=100, threads=1)
        row["median"] = math.nan
        name = "batch=100 threads=1 updates_per_second"
        with self.assertRaisesRegex(reports.BadReport, f"{name}: median is nan"):
            check.check_ratios(self.report)
        self.report["rows"].remove(row)
        with self.assertRaisesRegex(reports.BadReport, "batch=100 .*threads=1: no row"):
            check.check_ratios(self.report)


class Program(unittest.TestCase):
    """The program as scripts/bench-check calls it."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.report = bench_sample.report()

    def write(self, name, text):
        path = pathlib.Path(self.folder.name) / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def check(self, verb, *arguments):
        """(exit code, what it says of this test's report)."""
        report = self.write("report.json", json.dumps(self.report))
        command = [sys.executable, ROOT / "bench" / "check.py", verb, report, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_rows(self):
        listed = self.write("list", "\n".join(reports.name(row) for row in self.report["rows"]))
        rc, said = self.check("rows", listed)
        self.assertEqual(rc, 0, said)
        self.report["rows"][0]["median"] = math.nan
        rc, said = self.check("rows", listed)
        self.assertEqual((rc, said.count("\n")), (1, 1), said)

    def test_no_committed_results_of_this_kind(self):
        rc, said = self.check("ratios", self.folder.name)
        self.assertEqual(rc, 0, said)
        self.assertIn("not compared: there is no", said)

    def test_committed_results_of_this_kind(self):
        self.write("invented-cpu-1st-gen-avx2-2-cores.json", json.dumps(self.report))
        rc, said = self.check("ratios", self.folder.name)
        self.assertEqual(rc, 0, said)
        self.assertNotIn("not compared", said)
        for row in self.report["rows"]:
            if row["suite"] == "env":
                row["median"] = 0.1e9
        rc, said = self.check("ratios", self.folder.name)
        self.assertEqual(rc, 1, said)
        self.assertIn("0.100 G steps/s; the target is 0.400 G steps/s, asserted is 0.340 G", said)

    def test_a_file_that_is_cut_short(self):
        cut = self.write("cut", '{"machine"')
        done = subprocess.run([sys.executable, ROOT / "bench" / "check.py", "kind", cut],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("was the run cut short?", done.stderr)


class Tables(unittest.TestCase):
    def test_table(self):
        row = bench_sample.row("update", 8520.4, 10e3, network="2x64", batch=100)
        lines = check.table({"machine": bench_sample.MACHINE, "rows": [row]}).splitlines()
        self.assertEqual(lines[-1], "| update | pendulum, 2x64, batch 100 | 8.52 k updates/s | "
                                    "8.44 k to 8.61 k | 10 k updates/s | 85.2% |")

    def test_si(self):
        for value, unit, text in ((75.2e9, "FLOP/s", "75.2 GFLOP/s"), (1.2e-6, "s", "1.2 us"),
                                  (0.42e9, "steps/s", "420 M steps/s"), (3e-11, "s", "0.03 ns"),
                                  (169, "updates/s", "169 updates/s"), (999.7e6, "B/s", "1 GB/s")):
            self.assertEqual(check.si(value, unit), text)

    def test_a_page_with_and_without_its_marks(self):
        page = "a\n" + "old\n".join(check.MARKS) + "b\n"
        self.assertEqual(check.with_tables(page, "new"), "a\n" + "new\n".join(check.MARKS) + "b\n")
        for broken in ("a\n", page + page, "".join(reversed(check.MARKS))):
            with self.assertRaisesRegex(reports.BadReport, "the marks"):
                check.with_tables(broken, "new")

    def test_the_page_has_its_marks(self):
        check.with_tables((ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), "")


class Kind(unittest.TestCase):
    def test_kind(self):
        self.assertEqual(check.kind(bench_sample.MACHINE), "invented-cpu-1st-gen-avx2-2-cores")
        with self.assertRaisesRegex(reports.BadReport, 'no "simd_level"'):
            check.kind({"cpu": "x", "cores": 2})
        with self.assertRaisesRegex(reports.BadReport, 'no "cpu"'):
            check.kind(dict(bench_sample.MACHINE, cpu="not measured"))


if __name__ == "__main__":
    unittest.main()
