"""Sweeps and searches on a Ray cluster of two nodes give what they give here, whatever happens to the nodes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: make test-ray")

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "executors"))
from ray_nodes import Nodes
from sweeps import GRID, project, same, swept

from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.sweep.store import read_trials

PRUNED = {
    "halving": "grid: {optimizer.lr: {log: [0.001, 1], points: 6}}\nprune: {kind: halving}\n",
    "asha": "grid: {optimizer.lr: {log: [0.001, 1], points: 6}}\nprune: {kind: asha}\nbatch: 3\n",
    "tpe": "random: {optimizer.lr: {log: [0.001, 1]}}\nsamples: 6\nbatch: 3\nsampler: tpe\n",
}


@pytest.fixture(scope="module")
def nodes():
    with Nodes() as started:
        yield started


@pytest.fixture
def on_ray(nodes):
    return {"executor": "ray", "ray_address": nodes.address}


class Ended(SweepBoard):
    """A board that does something when so many trials have ended."""

    def __init__(self, after, then):
        super().__init__("s")
        self._after, self._then, self._count = after, then, 0

    def ended(self, trial):
        super().ended(trial)
        self._count += 1
        if self._count == self._after:
            self._then()


def test_the_users_own_code_and_data_travel(tmp_path, on_ray):
    told = tmp_path / "told"
    file = project(tmp_path / "mine", told=told)
    there = swept(file, tmp_path / "there", **on_ray)
    assert told.read_text() and not Path(told.read_text()).is_relative_to(tmp_path)
    same(there, swept(file, tmp_path / "here", executor="local", workers=2))


def test_a_node_is_killed_on_the_way(tmp_path, nodes, on_ray):
    file = project(tmp_path / "mine", seconds=0.02)
    there = swept(file, tmp_path / "there", Ended(3, nodes.replace), **on_ray)
    same(there, swept(file, tmp_path / "here", executor="in-process"))


@pytest.mark.parametrize("kind", PRUNED)
def test_pruned_sweeps(tmp_path, on_ray, kind):
    file = project(tmp_path / "mine", PRUNED[kind])
    same(swept(file, tmp_path / "there", **on_ray), swept(file, tmp_path / "here", executor="in-process"))


def test_a_file_that_lacks_a_package_fails_with_its_name(tmp_path, on_ray):
    file = project(tmp_path / "mine", "seeds: 2\n")
    (tmp_path / "mine" / "helper.py").write_text("import no_such_package\n")
    trials = swept(file, tmp_path / "there", **on_ray)
    assert all(trial.status == "failed" and "no_such_package" in trial.message for trial in trials)


@pytest.mark.parametrize("after", [["--executor", "ray"], ["--executor", "local", "--workers", "2"]])
def test_the_driver_is_killed_and_the_sweep_resumed(tmp_path, nodes, after):
    file = project(tmp_path / "mine", GRID, seconds=0.05)
    lrtool = [sys.executable, "-m", "lrtool", "sweep"]
    options = ["--quiet", "--executor", "ray"]
    environment = {**os.environ, "RAY_ADDRESS": nodes.address, "PYTHONPATH": str(Path(__file__).parents[3])}
    running = subprocess.Popen([*lrtool, file, "--output", tmp_path / "out", *options], env=environment)
    try:
        run, ended = tmp_path / "out" / "s" / "latest", time.monotonic() + 120
        while time.monotonic() < ended and running.poll() is None and not (run.exists() and _ended(run)):
            time.sleep(0.2)
        assert running.poll() is None, "it ended before it was killed"
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait(60)
    known = {trial.number: trial for trial in read_trials(run)}
    assert 0 < len(known) < 8
    resumed = subprocess.run([*lrtool, "--resume", run, "--quiet", *after], env=environment, timeout=300, check=False)
    assert resumed.returncode == 0
    trials = read_trials(run)
    # What was recorded was not trained again.
    assert all(trial.seconds == known[trial.number].seconds for trial in trials if trial.number in known)
    same(trials, swept(file, tmp_path / "here", executor="in-process"))


def _ended(run):
    try:
        return len(read_trials(run)) >= 2
    except Exception:
        return False


@pytest.mark.parametrize(
    ("search", "asked"), [("tune", {"budget": 25}), ("transfer", {"budget": 6, "to": {"train.duration": 240}})]
)
def test_searches(tmp_path, on_ray, search, asked):
    import yaml

    import lrtool

    file = project(tmp_path / "mine")
    config = yaml.safe_load(file.read_text())["base"]
    (tmp_path / "mine" / "c.yaml").write_text(yaml.safe_dump(config))
    here, there = (
        getattr(lrtool, search)(
            tmp_path / "mine" / "c.yaml", **asked, engine="loop", progress=False, output=tmp_path / name,
            executor=where.get("executor", "auto"), ray_address=where.get("ray_address"),
        )
        for name, where in (("here", {}), ("there", on_ray))
    )  # fmt: skip
    assert (here.suggested_lr, here.interval, here.reason) == (there.suggested_lr, there.interval, there.reason)
    assert here.rows() == there.rows()
