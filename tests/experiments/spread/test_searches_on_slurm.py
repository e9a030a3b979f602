"""`lrtool tune` and `lrtool transfer` under submitit's imitation of Slurm find what this machine's processes find.

Also where their jobs are preempted, and where the command is stopped and goes on.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytest.importorskip("submitit", reason="submitit is not installed: make test-slurm")

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "executors"))
from slurm_jobs import FOUND, MARK, jobs, preempt
from sweeps import project

from lrtool.experiments.resuming.search_memory import FILE
from lrtool.runs.journal import read_journal

pytestmark = [
    pytest.mark.skipif(not FOUND, reason="finds processes in /proc"),
    # Every array element is a process that imports torch.
    pytest.mark.timeout(900),
]

SEARCHES = {
    "tune": ("--budget", "12x"),
    "transfer": ("--to", "train.duration=400", "--budget", "3x"),
}
ON_SLURM = ("--executor", "slurm", "--slurm-cluster", "local", "--workers", "2")
HERE = ("--executor", "local", "--workers", "2")
#: Seconds in which everything must have happened.
LIMIT = 600.0


class Search:
    """A search of a user's own model: what it finds here, and the same where somebody interferes."""

    def __init__(self, name, folder):
        self.name, self.folder, self.mark = name, folder, f"{os.getpid()}-{name}"
        config = yaml.safe_load(project(folder / "mine", seconds=0.01).read_text())["base"]
        config["name"] = "s"
        (folder / "mine" / "c.yaml").write_text(yaml.safe_dump(config))
        self.here = self.run(*self.asked("here"), *HERE)

    def asked(self, output):
        """How a new one is asked for."""
        return ["mine/c.yaml", *SEARCHES[self.name], "--engine", "loop", "--output", output]

    def started(self, *arguments):
        """The command, running."""
        environment = {**os.environ, MARK: self.mark, "PYTHONPATH": str(Path(__file__).parents[3])}
        return subprocess.Popen(
            [sys.executable, "-m", "lrtool", self.name, *map(str, arguments), "--json"], cwd=self.folder,
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments, meanwhile=lambda running: None):
        """What the command finds; `meanwhile` is told the process, and may interfere."""
        with self.started(*arguments) as running:
            try:
                meanwhile(running)
                out, err = running.communicate(timeout=LIMIT)
            finally:
                running.kill()
        assert running.returncode == 0, err
        return json.loads(out)

    def preempting(self, output, times):
        """What takes the node of an element away after every few trials, so many times; and the list of those."""
        taken = []

        def meanwhile(running):
            until, seen = time.monotonic() + LIMIT, 0
            while running.poll() is None and len(taken) < times and time.monotonic() < until:
                said = len(list((self.folder / output).glob(".slurm-*/*/*.message")))
                if said > seen + 2 and (some := jobs(self.mark)):
                    preempt(some[len(taken) % len(some)])
                    taken.append(some)
                # Every call of an engine has a folder of its own.
                seen = said if said > seen + 2 or said < seen else seen
                time.sleep(0.05)

        return meanwhile, taken

    def stopped(self, output, number, after):
        """A new one under Slurm that got a signal once so many trials were recorded; its folder, and its exit code."""
        run, until = self.folder / output / "s" / "latest", time.monotonic() + LIMIT
        with self.started(*self.asked(output), *ON_SLURM) as running:
            try:
                while running.poll() is None and len(recorded(run)) < after and time.monotonic() < until:
                    time.sleep(0.05)
                running.send_signal(number)
                running.wait(120)
            finally:
                running.kill()
        return run.resolve(), running.returncode


@pytest.fixture(scope="module", params=SEARCHES)
def search(request, tmp_path_factory):
    made = Search(request.param, tmp_path_factory.mktemp(request.param))
    yield made
    # What a driver that was killed has left behind would wait for it.
    for pid in jobs(made.mark):
        os.kill(pid, signal.SIGKILL)


def recorded(run):
    """The numbers of the trials that a search has recorded, as often as it has."""
    import safetensors.numpy

    try:
        records, _ = read_journal(run / "checkpoints" / FILE)
    except OSError:
        return []
    documents = [json.loads(safetensors.numpy.load(record)["document"].tobytes()) for record in records]
    return [document["number"] for document in documents if "number" in document]


def metrics(folder):
    """Every row, trial by trial, without the time taken."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    return sorted(rows, key=lambda row: (int(row["trial"]), int(row["step"])))


def same(search, found):
    """Whether a search found what it finds here, from the same trials, each of which was recorded once."""
    here = search.here
    for key in ("suggested_lr", "interval", "reason", "status", "steps"):
        assert found[key] == here[key], key
    ours, theirs = (search.folder / each["folder"] for each in (found, here))
    assert metrics(ours) == metrics(theirs)
    numbers = recorded(ours)
    assert sorted(numbers) == sorted(recorded(theirs)) and len(set(numbers)) == len(numbers)


def test_preempted_on_the_way(search):
    meanwhile, taken = search.preempting("preempted", times=3)
    found = search.run(*search.asked("preempted"), *ON_SLURM, meanwhile=meanwhile)
    assert len(taken) == 3
    same(search, found)
    # Nothing is left of what went to the nodes, nor any process there.
    assert [path.name for path in (search.folder / "preempted").iterdir()] == ["s"]
    assert jobs(search.mark) == []


def test_killed_and_resumed_there(search):
    run, _ = search.stopped("killed", signal.SIGKILL, after=4)
    before = recorded(run)
    assert len(before) >= 4
    found = search.run("--resume", run, *ON_SLURM)
    assert recorded(run)[: len(before)] == before
    same(search, found)


def test_told_to_end_and_resumed_here(search):
    run, code = search.stopped("ended", signal.SIGTERM, after=4)
    assert code == 143 and jobs(search.mark) == []
    assert [path.name for path in (search.folder / "ended").iterdir()] == ["s"]
    assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"
    same(search, search.run("--resume", run, *HERE))
