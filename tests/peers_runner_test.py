"""What the runners of bench/peers share: the Pendulum that judges policies, and the timing, with an agent that
takes no time to learn. Needs NumPy and Gymnasium, which .venv has.

.venv/bin/python tests/peers_runner_test.py
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench/peers"))
import pendulum  # noqa: E402

WORKLOAD = json.loads((ROOT / "bench/peers/workload.json").read_text(encoding="utf-8"))


class Pendulum(unittest.TestCase):
    """The judge of the policies, by values computed by hand from Gymnasium's formulas."""

    def step(self, theta, speed, torque):
        return [float(one[0]) for one in pendulum.step(*(numpy.array([one]) for one in (theta, speed, torque)))]

    def test_hanging_and_upright(self):
        theta, speed, reward = self.step(math.pi, 0.0, 0.0)  # norm(pi) is -pi
        self.assertAlmostEqual(reward, -math.pi**2, places=12)
        self.assertAlmostEqual(speed, 0.0, places=12)
        self.assertAlmostEqual(theta, math.pi, places=12)
        self.assertEqual(self.step(0.0, 0.0, 0.0), [0.0, 0.0, 0.0])

    def test_torque_is_bounded_and_the_cost_is_that_before_the_step(self):
        theta, speed, reward = self.step(0.0, 1.0, 5.0)
        self.assertAlmostEqual(reward, -(0.1 + 0.001 * 4), places=12)
        self.assertAlmostEqual(speed, 1.0 + 3 * 2 * 0.05, places=12)  # 1.3
        self.assertAlmostEqual(theta, 1.3 * 0.05, places=12)

    def test_gravity(self):
        theta, speed, reward = self.step(math.pi / 2, 0.0, -1.0)
        self.assertAlmostEqual(speed, (15 - 3) * 0.05, places=12)
        self.assertAlmostEqual(theta, math.pi / 2 + 0.6 * 0.05, places=12)
        self.assertAlmostEqual(reward, -(math.pi**2 / 4 + 0.001), places=12)

    def test_the_velocity_is_bounded_before_theta_moves(self):
        theta, speed, reward = self.step(2 * math.pi + math.pi / 2, 7.9, 2.0)
        self.assertEqual(speed, 8.0)
        self.assertAlmostEqual(theta, 2 * math.pi + math.pi / 2 + 8 * 0.05, places=12)  # never wrapped
        self.assertAlmostEqual(reward, -(math.pi**2 / 4 + 0.1 * 7.9**2 + 0.004), places=12)

    def test_it_is_gymnasiums(self):
        self.assertTrue(pendulum.check_against_gymnasium())

    def test_returns(self):
        self.assertEqual(pendulum.evaluate(lambda obs: obs[:, 2] * 0, 8, 1),
                         pendulum.evaluate(lambda obs: obs[:, 2:] * 0, 8, 1))
        self.assertTrue(math.isnan(pendulum.evaluate(lambda obs: obs[:, 2] * math.nan, 8, 1)))
        self.assertLess(pendulum.evaluate(lambda obs: obs[:, 2] * 0, 256, 1), -1000)

    def test_another_pendulum_is_found_out(self):
        def start(theta, speed):
            return numpy.stack((theta, speed), 1)

        def advance(states, torque, gravity=1.0, scale=1.0):
            theta, speed, reward = pendulum.step(states[:, 0], states[:, 1] * gravity, torque)
            return None, pendulum.observe(theta, speed), reward * scale

        pendulum.check("the same", start, advance)
        with self.assertRaisesRegex(ValueError, "an observation differs"):
            pendulum.check("another", start, lambda states, torque: advance(states, torque, gravity=0.98))
        with self.assertRaisesRegex(ValueError, "a reward differs by nan"):
            pendulum.check("another", start, lambda states, torque: advance(states, torque, scale=math.nan))


# A runner whose agents take no time to learn: seed 1 solves it after 1,500 steps, seed 2 never.
RUNNER = """import sys
sys.path.insert(0, {peers!r})
import numpy, time
from common import TooMany, main

class Fake:
    algorithm, differs, modes = "DDPG", "it cheats", ("sync",)
    def __init__(self, task):
        self.asked = []
    def begin(self, seed):
        self.seed, self.steps = seed, 0
    def train(self, steps):
        self.steps += steps
        time.sleep(0.02)
    def policy(self):
        good = self.seed == 1 and self.steps >= 1500
        def act(obs):
            angle = numpy.arctan2(obs[:, 1], obs[:, 0])
            swing = numpy.where(numpy.cos(angle) < 0.9, numpy.sign(obs[:, 2] + 1e-9) * 2, -20 * angle - 4 * obs[:, 2])
            energy = obs[:, 2]**2 / 6 + 5 * obs[:, 0]  # of the rod: swing up to that of standing
            pump = numpy.sign(obs[:, 2] + 1e-9) * numpy.where(energy < 5, 2.0, -2.0)
            return numpy.where(numpy.cos(angle) < 0.85, pump, swing) if good else obs[:, 2] * 0
        return act
    def stepper(self, num_envs, mode):
        if num_envs > 100:
            raise TooMany("too many for it")
        return lambda: num_envs
    def check(self):
        print("noise of a peer")

main({{"fake": Fake}}, ("numpy",))
"""


class Runner(unittest.TestCase):
    def report(self, work, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "fake.py"
            file.write_text(RUNNER.format(peers=str(ROOT / "bench/peers")), encoding="utf-8")
            workload = json.loads(json.dumps(WORKLOAD))
            workload["env"]["short_seconds"], workload["solve"]["steps"] = 0.01, 2000
            workload["solve"]["return"] = -400  # what its policy reaches
            (pathlib.Path(folder) / "w.json").write_text(json.dumps(workload), encoding="utf-8")
            done = subprocess.run([sys.executable, str(file), "--workload", str(pathlib.Path(folder) / "w.json"),
                                   "--work", work, "--threads", "1", *arguments], capture_output=True, text=True,
                                  timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {(one["metric"], one.get("num_envs")): one for one in json.loads(done.stdout)["rows"]}

    def test_fixed(self):
        rows = self.report("fixed", "--seeds", "2")
        alone, whole = rows["seconds", 1], rows["seconds_from_start", 1]
        self.assertEqual((alone["program"], alone["network"], alone["batch"], alone["differs"], alone["repeats"]),
                         ("fake", "2x64", 100, "it cheats", 2))
        self.assertEqual(len(alone["returns"]), 2)
        self.assertTrue(0.02 <= alone["median"] < whole["median"] < 30)
        setups = [b - a for a, b in zip(alone["values"], whole["values"])]
        self.assertAlmostEqual(setups[0], setups[1], places=9)  # each as though it were the first
        self.assertRegex(alone["version"], r"^numpy \d")

    def test_solve(self):
        rows = self.report("solve", "--seeds", "2")
        self.assertEqual(rows["steps_until_solved", 1]["values"], [1600, None])  # 100 of the warm-up, 3 x 500
        seconds = rows["seconds_until_solved", 1]["values"]
        evaluated = rows["seconds_until_solved_with_evaluation", 1]["values"]
        setup = rows["seconds_of_setup", 1]["values"]
        self.assertTrue(0 < setup[0] < seconds[0] < evaluated[0])
        self.assertEqual((seconds[1], evaluated[1], len(setup)), (None, None, 2))
        self.assertGreater(rows["seconds_until_solved", 1]["returns"][0], -400)

    def test_env(self):
        rows = self.report("env", "--short")
        self.assertGreater(rows["env_steps_per_second", 16]["median"], 0)
        self.assertEqual(rows["env_steps_per_second", 16]["mode"], "sync")
        self.assertEqual(rows["env_steps_per_second", 65536]["not_measured"], "too many for it")


if __name__ == "__main__":
    unittest.main()
