"""bench/plot.py on a small invented report: what is drawn, and what is said of what is not; and the
curve of bench/learning_docs.py.

.venv/bin/python -m unittest tests/plot_test.py
"""

import contextlib
import io
import json
import math
import pathlib
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]
import bench_sample  # noqa: E402
import learning  # noqa: E402
import learning_docs  # noqa: E402
import plot  # noqa: E402
import rows as reports  # noqa: E402

PICTURES = ("roofline", "environments", "batch", "network")


def run(report):
    """What plot.py says of a report, and {file name: content}."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as said:
        path = pathlib.Path(folder) / "sample.json"
        path.write_text(json.dumps(report), encoding="utf-8")
        plot.main([str(path), "--out", f"{folder}/out"])
        pictures = pathlib.Path(folder, "out").glob("*")
        return said.getvalue(), {file.name: file.read_bytes() for file in pictures}


class Files(unittest.TestCase):
    def test_all_pictures(self):
        said, pictures = run(bench_sample.report())
        self.assertNotIn("not drawn", said)
        names = {f"sample-{name}.{suffix}" for name in PICTURES for suffix in ("svg", "png")}
        self.assertEqual(set(pictures), names)
        for name, content in pictures.items():
            if name.endswith(".png"):
                self.assertEqual(content[:8], b"\x89PNG\r\n\x1a\n")
            else:
                text = "".join(xml.etree.ElementTree.fromstring(content).itertext())
                self.assertIn("Invented CPU (1st Gen), avx2, 2 cores", text)

    def test_suites_that_are_not_there(self):
        rows = bench_sample.report()["rows"]
        for suite, drawn in (("env", {"environments"}), ("train", set())):
            with self.subTest(suite=suite):
                part = [row for row in rows if row["suite"] in ("machine", suite)]
                said, pictures = run({"machine": {}, "rows": part})
                names = {f"sample-{name}.{suffix}" for name in drawn for suffix in ("svg", "png")}
                self.assertEqual(set(pictures), names)
                for name in set(PICTURES) - drawn:
                    self.assertIn(f"{name} not drawn", said)

    def test_a_row_that_is_no_number_is_said(self):
        row = dict(bench_sample.report()["rows"][0], median=math.nan)
        self.assertIn("1 rows left out", run({"machine": {}, "rows": [row]})[0])

    def test_no_report(self):
        with self.assertRaisesRegex(reports.BadReport, 'no "machine"'):
            run({"rows": []})


class Drawings(unittest.TestCase):
    def test_batch_draws_samples_and_limits(self):
        report = bench_sample.report()
        figure = plot.draw_batch(report, report["rows"])
        left, right = figure.axes
        self.assertEqual((left.get_title(), right.get_title()), ("2x64", "2x256"))
        drawn = [list(map(float, line.get_ydata())) for line in left.get_lines()]
        for threads in (1, 2):
            rows = [row for row in report["rows"] if row["suite"] == "update"
                    and row["network"] == "2x64" and row["threads"] == threads]
            for key in ("median", "limit"):
                self.assertIn([row[key] * row["batch"] for row in rows], drawn)

    def test_roofline_points_lie_at_flop_over_bytes(self):
        # 2x64, B = 100: 100 x 86,528 FLOP; 100 records of 16 bytes, 36 bytes for each of 9,026
        # parameters.
        flop, moved = plot.work({"suite": "update", "case": "pendulum", "network": "2x64",
                                 "batch": 100})
        self.assertEqual((flop, moved), (8652800, 1600 + 324936))
        # The actor 3-64-64-1 has 4,352 weights, read once per 64 environments.
        flop, moved = plot.work({"suite": "rollout", "case": "pendulum", "network": "2x64",
                                 "num_envs": 1024})
        self.assertEqual((flop, moved), (8704, 16 + 272))

    def test_roofline_draws_the_points_of_one_thread(self):
        report = bench_sample.report()
        (axes,) = plot.draw_roofline(report, report["rows"]).axes
        dots = {dots.get_label(): dots.get_offsets() for dots in axes.collections}
        self.assertEqual(set(dots), {f"{suite}, {network}" for suite in ("update", "rollout")
                                     for network in ("2x64", "2x256")})
        self.assertEqual(len(dots["update, 2x64"]), 4)  # a batch each
        for _, flops in dots["update, 2x64"]:
            self.assertAlmostEqual(flops / (0.97 * bench_sample.SGEMM), 1, places=9)

    def test_series_are_told_apart_by_what_differs(self):
        rows = [bench_sample.row("update", 1, network=network, batch=batch, threads=2)
                for network in ("2x64", "2x256") for batch in (128, 100)]
        labels = plot.series(rows, "batch")
        self.assertEqual([label for label, _ in labels], ["2x64", "2x256"])
        self.assertEqual([row["batch"] for row in labels[0][1]], [100, 128])


class Learning(unittest.TestCase):
    def report(self):
        """Three seeds, of which the last diverged after its first evaluation."""
        seeds = [{"final": {learning.RETURN: None if k == 2 else -150.0 - k},
                  "rows": [{"time/total_timesteps": step, learning.RETURN: -1000.0 + step - k}
                           for step in (100, 200, 300)][:1 if k == 2 else 3]} for k in range(3)]
        return {"config": "pendulum.json", "seeds": 3,
                "machine": {"processor": "Invented CPU", "cores": 2, "device": "cpu",
                            "simd_level": "avx2", "commit": "abc"},
                **learning.report("pendulum", seeds)}

    def drawn(self, report):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "curve.svg"
            learning_docs.draw(report, path)
            return path.read_bytes()

    def test_the_same_report_the_same_bytes(self):
        content = self.drawn(self.report())
        self.assertEqual(content, self.drawn(self.report()))
        text = "".join(xml.etree.ElementTree.fromstring(content).itertext())
        for word in ("pendulum.json, 3 seeds", "Invented CPU (AVX2), 2 cores, CPU backend", "IQM",
                     "mean", "each seed", "95% bootstrap interval", "-200"):
            self.assertIn(word, text)
        self.assertNotIn(b"<dc:date>", content)

    def test_every_seed_is_a_line(self):
        with unittest.mock.patch.object(plot.plt, "close") as closed:
            self.drawn(self.report())
        axes = closed.call_args.args[0].axes[0]
        lines = [[list(map(float, data)) for data in line.get_data()] for line in axes.get_lines()]
        self.assertIn([[100, 200, 300], [-900, -800, -700]], lines)
        self.assertIn([[100, 200, 300], [-901, -801, -701]], lines)
        self.assertIn([[0, 1], [-200, -200]], lines)  # the criterion, across the picture
        mean = next(line for line in axes.get_lines() if line.get_label() == "mean").get_ydata()
        self.assertEqual([mean[0], *map(math.isnan, mean[1:])], [-901, True, True])


if __name__ == "__main__":
    unittest.main()
