"""Options that say where trials are trained, as they are typed; what needs a cluster is refused where there is none."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrtool.errors import LrtoolError
from lrtool.runs.sweep.store import read_trials

SWEEP = "base: c.yaml\ngrid: {optimizer.lr: [0.1, 0.3], seed: 2}\n"
#: Trials in two other processes.
LOCAL = ("--executor", "local", "--workers", "2")


@pytest.fixture
def sweep(config, tmp_path):
    config([("duration: 3ep", "duration: 10")])
    (tmp_path / "s.yaml").write_text(SWEEP)
    return tmp_path / "s.yaml"


@pytest.fixture
def without_clusters(monkeypatch):
    """As where neither Ray nor submitit is installed."""
    for name in ("ray", "slurm"):
        monkeypatch.setattr(f"lrtool.executors.{name}_cluster.find_spec", lambda package: None)


@pytest.mark.parametrize("command", ["sweep", "tune", "transfer"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--executor", "ray"], "the package ray is not installed; install it with: pip install 'lrtool[ray]'"),
        (["--executor", "ray", "--ray-address", "auto"], "the package ray is not installed"),
        (
            ["--executor", "slurm"],
            "submitit is not installed; install it with: pip install 'lrtool[slurm]'",
        ),
        (["--ray-address", "auto"], "--ray-address: this is for --executor ray, but got --executor auto; add"),
        (["--executor", "local", "--slurm-cluster", "local"], "--slurm-cluster: this is for --executor slurm"),
        (["--executor", "slurm", "--slurm-cluster", "pbs"], "there is no scheduler 'pbs'; write slurm or local"),
        (["--executor", "dask"], "there is no executor 'dask'; choose one of: auto, in-process, local, ray, slurm"),
        (["--executor", "ray", "--set", "cluster.gpus=1.5"], "more than one GPU comes in whole ones, but got 1.5"),
    ],
)
def test_what_cannot_be_done_leaves_no_run_behind(cli, sweep, without_clusters, tmp_path, command, options, said):
    file = sweep if command == "sweep" else "c.yaml"
    more = ["--to", "train.duration=40"] if command == "transfer" else []
    code, out, err = cli(command, file, *options, *more, "--output", "out")
    assert code == 2 and said in err and out == ""
    assert not (tmp_path / "out").exists()


def test_a_plan_joins_no_cluster(cli, sweep, without_clusters):
    code, out, _ = cli("sweep", sweep, "--executor", "ray", "--dry-run")
    assert code == 0 and "4 trials" in out


@pytest.mark.deep
def test_tune_trains_in_other_processes_what_it_trains_here(cli, sweep):
    found = []
    for options in ((), LOCAL):
        code, out, err = cli("tune", "c.yaml", "--budget", "30x", "--engine", "loop", "--json", *options)
        assert code == 0, err
        found.append(json.loads(out))
    for key in ("suggested_lr", "interval", "steps"):
        assert found[0][key] == found[1][key]


@pytest.mark.deep
@pytest.mark.parametrize(("to", "budget"), [("train.duration=800", "3x"), ("data.batch_size=96", "20x")])
def test_transfer_trains_in_other_processes_what_it_trains_here(cli, config, to, budget):
    path, found = config([("duration: 3ep", "duration: 80"), ("{kind: one_cycle}", "{kind: cosine}")]), []
    for options in ((), LOCAL):
        asked = ("--to", to, "--budget", budget, "--engine", "loop", "--json")
        code, out, err = cli("transfer", path, *asked, *options)
        assert code == 0, err
        found.append(json.loads(out))
    for key in ("suggested_lr", "interval", "reason", "cells", "steps"):
        assert found[0][key] == found[1][key]
    assert found[0]["engine"]["name"] == found[1]["engine"]["name"] == "loop"


@pytest.mark.deep
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("sent", ["SIGTERM", "SIGUSR1"])
@pytest.mark.parametrize("executor", ["local", "in-process"])
def test_a_scheduler_that_signals_every_process_leaves_a_sweep_resumable(config, tmp_path, sent, executor):
    config([("duration: 3ep", "duration: 3000"), ("schedule: {kind: one_cycle}", "plateau: {metric: val_loss}")])
    (tmp_path / "s.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "lrtool", "sweep"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    options = ["--executor", executor, "--workers", "2", "--output", "out", "--quiet"]
    run, ended = tmp_path / "out" / "s" / "latest", time.monotonic() + 120
    with subprocess.Popen([*command, "s.yaml", *options], cwd=tmp_path, env=environment, start_new_session=True) as one:
        try:
            while time.monotonic() < ended and one.poll() is None and not recorded(run):
                time.sleep(0.1)
            os.killpg(one.pid, getattr(signal, sent))
            assert one.wait(60) == 143
        finally:
            one.kill()
    assert {trial.status for trial in read_trials(run)} == {"finished"}
    resumed = subprocess.run([*command, "--resume", run, "--quiet"], cwd=tmp_path, env=environment, timeout=200)
    assert resumed.returncode == 0 and [trial.status for trial in read_trials(run)] == ["finished"] * 4


def recorded(run):
    try:
        return bool(read_trials(run))
    except LrtoolError:
        return False
