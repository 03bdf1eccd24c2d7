"""Trainings by `pendula train` in a folder that knows what they belong to: begun, gone on with,
measured. scripts/learn uses it; main threads only, since signals go on to the training."""

import ctypes
import datetime
import fcntl
import hashlib
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import agents_file
import binary
import learning

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Failure(Exception):
    """What went wrong, and what to do."""


class Stopped(Exception):
    """A signal."""

    def __init__(self, code):
        super().__init__(f"stopped by {signal.Signals(code - 128).name}")
        self.code = code


class OutOfMemory(Failure):
    pass


def say(text):
    print(f"learn: {text}", file=sys.stderr, flush=True)


def shown(path):
    """A path as seen from the checkout."""
    path = pathlib.Path(path).absolute()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def write_json(path, value):
    """Complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    new.replace(path)


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def read_rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def of_this_process():
    """In a child: where this script is killed, the training gets SIGTERM, and saves."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Job:
    """One config with its overrides, one build, one folder."""

    def __init__(self, args):
        try:
            self.binary = pathlib.Path(binary.find(args.binary, "--binary", ("cuda", "cpu")))
        except FileNotFoundError as error:
            raise Failure(str(error)) from None
        self.config = args.config
        self.name = args.config.stem
        self.threads = ["--threads", str(args.threads)] if args.threads else []
        self.overrides = list(args.overrides)
        if args.device:
            self.overrides.append(f"device={args.device}")
        self.resolved = json.loads(self.ask("config", "show", self.config, *self.overrides, "--quiet"))
        if self.resolved["agents"] != 1:
            raise Failure(f"{shown(self.config)} has {self.resolved['agents']} agents, whose seeds would "
                          "overlap: measure it with \"agents\": 1, the seeds are agents anyway")
        self.episodes = self.resolved["eval"]["final_episodes"]
        if self.episodes < learning.EPISODES:
            say(f"eval.final_episodes is {self.episodes}: raised to {learning.EPISODES}")
            self.episodes = learning.EPISODES
            self.overrides.append(f"eval.final_episodes={self.episodes}")
        self.version = json.loads(self.ask("--version", "--json"))
        folder = self.name
        if args.overrides:
            digest = hashlib.sha256("\n".join(sorted(args.overrides)).encode()).hexdigest()
            folder += f"-{digest[:8]}"
        self.folder = args.run_dir or ROOT / "build/learn" / folder
        self.lock = self.take()
        try:
            self.check_folder(args.fresh)
        except Failure:
            os.close(self.lock)
            raise

    def ask(self, *arguments):
        """What pendula answers on standard output."""
        try:
            done = subprocess.run([str(self.binary), *map(str, arguments)], stdout=subprocess.PIPE,
                                  text=True, check=False)
        except OSError as error:
            raise Failure(f"cannot run {self.binary}: {error.strerror}; build it first, or name "
                          "another with --binary") from error
        if done.returncode != 0:
            raise Failure(f"exit code {done.returncode} of pendula {' '.join(map(str, arguments))}")
        return done.stdout

    def identity(self):
        """What must be the same for runs to go on, or to stand in one table. A working tree that
        was changed and built again keeps its commit, so the build is known by its bytes."""
        builds = [self.binary, self.binary.with_name("libpendula_cuda.so")]
        bits = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in builds
                if file.exists()}
        config = {key: value for key, value in self.resolved.items() if key not in ("result", "seed")}
        return {"config": config, "overrides": self.overrides, "build": {**self.version, **bits},
                "processor": processor()}

    def take(self):
        """Locks the folder; each training inherits the lock, so that the folder is free when the
        last of them has ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise Failure(f"another scripts/learn, or the training that it began, is at work in "
                          f"{shown(self.folder)}: wait for its end, or stop it") from error
        return lock

    def check_folder(self, fresh):
        """Makes sure that what lies there belongs to this job; removes it where `fresh`."""
        record = self.folder / "experiment.json"
        known = record.exists()
        if not known and any(file.name != ".lock" for file in self.folder.iterdir()):
            raise Failure(f"{shown(self.folder)} holds something else than runs of scripts/learn: name "
                          "another folder with --run-dir")
        mine = self.identity()
        if known and not fresh:
            before = read_json(record)
            differs = [key for key in mine if before.get(key) != mine[key]]
            if differs:
                raise Failure(f"{shown(self.folder)} holds runs of another {' and '.join(differs)}; they "
                              "are not mixed: --fresh removes them and begins anew, --run-dir names "
                              "another folder")
        elif known:
            # What this script made, and the record last: what is interrupted can be done again.
            for entry in [*self.folder.glob("agents-*"), *self.folder.glob("seed-*")]:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
            record.unlink()
        write_json(record, mine)

    def run(self, command):
        """(exit code, standard output) of a training. A signal that comes meanwhile goes on to it
        once, so that it saves; raises Stopped after its end."""
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(self.lock,),
                                 start_new_session=True, preexec_fn=of_this_process)
        stopped = None
        while True:
            try:
                out, _ = child.communicate()
                break
            except Stopped as signal_came:
                stopped = signal_came
                child.send_signal(stopped.code - 128)
        if stopped is None and child.returncode in (130, 143):  # the child alone was told
            stopped = Stopped(child.returncode)
        if stopped is not None:
            raise stopped
        return child.returncode, out

    def train(self, place, seed, agents):
        """What the run in `place` came to (its done.json); trains it, or goes on with it."""
        done = place / "done.json"
        if done.exists():
            return read_json(done)
        resumed = any(place.glob("latest/checkpoints/step_*/manifest.json"))
        quiet = [] if agents > 1 and sys.stderr.isatty() else ["--quiet"]
        if resumed:
            say(f"going on in {shown(place)}")
            what = ["--resume", "latest"]
        else:
            if place.exists():  # killed before its first checkpoint
                shutil.rmtree(place)
            place.mkdir(parents=True)
            what = [str(self.config), *self.overrides, f"seed={seed}"]
            if agents > 1:
                what.append(f"agents={agents}")
        command = [str(self.binary), "train", *what, "--run-dir", str(place), "--json", *quiet,
                   *self.threads]
        load = os.getloadavg()[0]  # of the last minute: what else the machine did
        begin = time.monotonic()
        code, out = self.run(command)
        elapsed = time.monotonic() - begin
        if code == 4 and agents > 1:
            raise OutOfMemory(f"{agents} agents at once take more memory than there is")
        if code not in (0, 5):
            died = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            raise Failure(f"the training in {shown(place)} {died}; what it saved is kept, and the same "
                          "command goes on from there")
        run = (place / "latest").resolve()
        rows = read_rows(run / "eval.jsonl") if (run / "eval.jsonl").exists() else []
        result = json.loads(out) if code == 0 else None
        record = {
            "run": str(run.relative_to(place.resolve())), "result": result, "measured": {},
            "diverged": diverged(run) if agents > 1 else [0] if result is None else [],
            "rows": rows_of_agents(run, agents) if agents > 1 else [rows],
            "meta": read_json(run / "meta.json"), "date": datetime.date.today().isoformat(),
            "wall_seconds": trained_seconds(run, result) if resumed else round(elapsed, 3),
            "resumed": resumed, "load": round(load, 1),
        }
        write_json(done, record)
        return record

    def measure(self, place, record, agent):
        """The measures of this environment's steps for one agent: {name: value}."""
        wanted = learning.STEP_MEASURES.get(self.resolved["env"]["id"], {})
        for name, column in wanted.items():
            values = record["measured"].setdefault(name, {})
            if str(agent) in values:
                continue
            command = [str(self.binary), "play", str(place / record["run"]), "--agent", str(agent),
                       "--episodes", str(learning.EPISODES), "--csv", "-", "--quiet"]
            with tempfile.TemporaryFile(mode="w+") as said, subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=said, text=True) as child:
                try:
                    value, episodes = learning.upright(
                        child.stdout, column, self.resolved["env"]["max_episode_steps"])
                except ValueError:  # the CSV lacks the column or breaks off
                    value, episodes = math.nan, 0
                if child.wait() != 0 or episodes != learning.EPISODES:
                    said.seek(0)
                    raise Failure(f"exit code {child.returncode} and {episodes} episodes of "
                                  f"{' '.join(command)}: {said.read()[-500:].strip()}")
            values[str(agent)] = learning.null(value)
            write_json(place / "done.json", record)
        return {name: learning.finite(record["measured"][name][str(agent)]) for name in wanted}


def records_of(run):
    return agents_file.read_records(run / "agents.npy") if (run / "agents.npy").exists() else []


def rows_of_agents(run, agents):
    """The evaluations of each agent, as eval.jsonl has them of an agent alone."""
    rows = [[] for _ in range(agents)]
    for record in records_of(run):
        if record["kind"] == "eval":
            rows[record["agent"]].append({key: value for key, value in record.items() if key in (
                "time/total_timesteps", "eval/mean_reward", "eval/std_reward", "eval/mean_ep_length",
                "eval/episodes")})
    return rows


def diverged(run):
    """The agents that were frozen while others went on."""
    return sorted({record["agent"] for record in records_of(run) if record["diverged"]})


def trained_seconds(run, result):
    """Of a run that was resumed: its sessions' seconds, up to each one's last row that was kept."""
    sessions = [0.0]
    for row in read_rows(run / "metrics.jsonl"):
        elapsed = row["time/time_elapsed"] or 0.0
        if elapsed < sessions[-1]:
            sessions.append(0.0)
        sessions[-1] = elapsed
    if result:
        sessions[-1] = max(sessions[-1], result["time/time_elapsed"])
    return round(sum(sessions), 3)
