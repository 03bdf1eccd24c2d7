"""bench/learning.py: statistics, curves, verdicts, by hand.

python3 -m unittest tests/learning_test.py
"""

import itertools
import math
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench"))
import learning  # noqa: E402


class Statistics(unittest.TestCase):
    def test_iqm_leaves_out_a_quarter_at_each_end(self):
        self.assertEqual(learning.iqm([-1000, 0, 2, 3, 4, 5, 6, 1000]), (2 + 3 + 4 + 5) / 4)
        self.assertEqual(learning.iqm([1, 2, 9]), 4)  # a quarter of three, rounded down: none
        self.assertEqual(learning.iqm([0, 1, 2, 3, 4, 5, 6, 7, 8, 99]), 4.5)  # two of ten

    def test_percentile(self):
        self.assertEqual([learning.percentile([1, 3, 7], share) for share in (0, 0.25, 0.5, 0.75, 1)],
                         [1, 2, 3, 5, 7])

    def test_intervals_are_those_of_all_resamples(self):
        values = (0.0, 1.0, 4.0, 16.0)
        every = [sorted(drawn) for drawn in itertools.product(values, repeat=4)]
        described = learning.describe(list(values))
        self.assertEqual((described["mean"], described["iqm"]), (5.25, 2.5))
        self.assertEqual((described["min"], described["max"]), (0, 16))
        # 10,000 draws: a share of 2.5% has a standard error of 0.16%; four of them.
        slack = 0.0063
        for of, key in ((lambda x: sum(x) / 4, "mean_interval"), (learning.iqm, "iqm_interval")):
            exact = [of(drawn) for drawn in every]
            for end, share in zip(described[key], (0.025, 0.975)):
                below = sum(value < end - 1e-9 for value in exact) / len(exact)
                up_to = sum(value < end + 1e-9 for value in exact) / len(exact)
                self.assertLessEqual(below, share + slack, key)
                self.assertGreaterEqual(up_to, share - slack, key)

    def test_the_interval_of_many_is_the_normal_one(self):
        values = [math.sin(37 * k) for k in range(80)]
        low, high = learning.describe(values)["mean_interval"]
        mean = sum(values) / 80
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 80)
        self.assertAlmostEqual((high - low) / (2 * 1.96 * deviation / math.sqrt(80)), 1, delta=0.05)
        learning.resamples.cache_clear()
        self.assertEqual(learning.describe(values)["mean_interval"], [low, high])

    def test_nan_is_not_hidden(self):
        self.assertEqual(set(learning.describe([1.0, math.nan, 2.0]).values()), {None})


class Curves(unittest.TestCase):
    """The evaluations of all seeds as one curve."""

    @staticmethod
    def seed(*values, final=1.0):
        rows = [{"time/total_timesteps": 100 * (i + 1), learning.RETURN: value}
                for i, value in enumerate(values)]
        return {"final": {learning.RETURN: final}, "rows": rows}

    def values(self, *seeds):
        return [(point["time/total_timesteps"], point["values"])
                for point in learning.curve(seeds, learning.RETURN)["points"]]

    def test_a_seed_that_stopped_keeps_its_last_value(self):
        self.assertEqual(self.values(self.seed(*range(40)), self.seed(5.0)),
                         [(100 * (i + 1), [i, 5.0]) for i in range(40)])

    def test_one_that_diverged_does_not(self):
        self.assertEqual(self.values(self.seed(1.0, 2.0), self.seed(5.0, final=None)),
                         [(100, [1.0, 5.0]), (200, [2.0, None])])

    def test_evaluations_that_one_lacks_are_left_out(self):
        seed = self.seed(1.0, 2.0, 3.0)
        del seed["rows"][1]
        self.assertEqual(self.values(self.seed(7.0, 8.0, 9.0), seed),
                         [(100, [7.0, 1.0]), (300, [9.0, 3.0])])


class Verdicts(unittest.TestCase):
    def judge(self, name, values, metric=learning.RETURN):
        return learning.judge(name, {metric: values})

    def test_bounds_belong_to_what_is_met(self):
        self.assertIs(self.judge("pendulum", [-160.0] * 20)["met"], True)
        self.assertIs(self.judge("pendulum", [-120.0] * 19 + [-200.0])["met"], True)
        worse = self.judge("pendulum", [-120.0] * 19 + [-200.001])
        self.assertIs(worse["met"], False)
        self.assertEqual(worse["meets"], 19)
        self.assertIn("19 of 20 seeds reach -200, 20 needed; the worst is seed 20: -200.0",
                      worse["said"])
        mean = self.judge("pendulum", [-160.0] * 19 + [-161.0])
        self.assertIs(mean["met"], False)
        self.assertIn("the mean is -160.1, 0.1 below -160", mean["said"])

    def test_how_many_may_fail(self):
        for name, metric, good, bad, seeds, may in (
                ("pendulum-zoo", learning.RETURN, -120.0, -250.0, 20, 1),
                ("pendulum-paper", learning.RETURN, -200.0, -1000.0, 10, 1),
                ("cartpole", learning.LENGTH, 475.0, 474.9, 20, 1),
                ("cartpole-swingup", learning.UPRIGHT, 0.95, 0.949, 20, 2)):
            with self.subTest(name=name):
                enough = self.judge(name, [bad] * may + [good] * (seeds - may), metric)
                self.assertIs(enough["met"], True, enough["said"])
                less = self.judge(name, [bad] * (may + 1) + [good] * (seeds - may - 1), metric)
                self.assertIs(less["met"], False)

    def test_nan_misses_every_criterion(self):
        for name, criterion in learning.CRITERIA.items():
            with self.subTest(name=name):
                good = max(criterion.each, criterion.mean or criterion.each)
                values = [good] * criterion.seeds
                self.assertIs(self.judge(name, values, criterion.metric)["met"], True)
                values[3] = math.nan
                verdict = self.judge(name, values, criterion.metric)
                self.assertIs(verdict["met"], False)
                self.assertIn("1 of", verdict["said"])

    def test_too_few_seeds_are_not_judged(self):
        verdict = self.judge("pendulum", [-150.0] * 19)
        self.assertIsNone(verdict["met"])
        self.assertEqual(verdict["said"], "not judged: needs 20 seeds")
        self.assertIsNone(self.judge("mine", [-150.0])["met"])

    def test_more_seeds_do_not_help(self):
        self.assertIs(self.judge("pendulum", [-201.0] + [-100.0] * 30)["met"], False)
        self.assertIs(self.judge("pendulum", [-100.0] * 20 + [-999.0])["met"], True)


class Upright(unittest.TestCase):
    HEAD = "t,episode,state_0,state_1,reward,terminated,truncated\n"

    def test_by_hand(self):
        angles = [[9, 9, 0, math.pi / 3, math.pi], [9, 9, 0], [0, 0, 0, 0]]
        lines = [self.HEAD] + [f"{t},{k},7,{angle:.9g},1,0,0\n"
                               for k, episode in enumerate(angles) for t, angle in enumerate(episode)]
        # The last 3 of 5 steps: the second episode lacks two of them, the third one.
        expected = (1 + 0.5 - 1 + 1 - 1 - 1 + 1 + 1 - 1) / 9
        value, episodes = learning.upright(lines, "state_1", 5, last=3)
        self.assertEqual(episodes, 3)
        self.assertAlmostEqual(value, expected, places=8)

    def test_an_episode_that_ends_before_counts(self):
        value, _ = learning.upright([self.HEAD, "0,0,0,0,1,1,0\n"], "state_1", 500)
        self.assertEqual(value, -1)

    def test_nan_and_nothing(self):
        for text in ("nan", "inf"):
            value, _ = learning.upright([self.HEAD, f"0,0,0,{text},1,0,1\n"], "state_1", 1, last=1)
            self.assertTrue(math.isnan(value))
        self.assertTrue(math.isnan(learning.upright([self.HEAD], "state_1", 5)[0]))
        with self.assertRaises(ValueError):
            learning.upright([self.HEAD], "state_2", 5)


if __name__ == "__main__":
    unittest.main()
