"""Command lines that several processes were started with."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrtool.cli import app
from lrtool.cli.parts import launched
from lrtool.errors import ExitCode
from tests.engine.parallel.processes import environment, started
from tests.engine.parallel.processes import launched as launched_python

CONFIG = """\
name: small
device: cpu
model: {kind: mlp, hidden: [8]}
data: {kind: digits, batch_size: 33, val_fraction: 0.2, drop_last: false}
optimizer: {kind: sgd, lr: 0.1}
train: {duration: 40, eval_every: 20}
range_test: {steps: 80, seeds: 2, probe_steps: 0}
"""


def start(folder: Path, size: int, *arguments: str, config: str = CONFIG) -> list[subprocess.CompletedProcess[str]]:
    """What `size` processes of one command line of lrtool returned."""
    (folder / "config.yaml").write_text(config)
    return launched_python(folder, size, "-m", "lrtool", *arguments)


def alone(folder: Path, *arguments: str) -> dict[str, Any]:
    """What one process says in `--json`."""
    done = subprocess.run(
        [sys.executable, "-m", "lrtool", *arguments, "--json"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def runs(folder: Path) -> list[Path]:
    """The run folders that were made."""
    return [path for path in (folder / "outputs/small").iterdir() if path.name != "latest"]


def losses(run: Path) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file)]


def test_one_run_of_two_processes(tmp_path: Path) -> None:
    first, other = start(tmp_path, 2, "train", "config.yaml", "--json")
    assert (first.returncode, other.returncode) == (0, 0), first.stderr
    assert other.stdout == other.stderr == ""
    document = json.loads(first.stdout)
    assert document["status"] == "finished"
    # One folder, and none of the other process.
    assert len(runs(tmp_path)) == 1
    one = alone(tmp_path, "train", "config.yaml")
    np.testing.assert_allclose(losses(Path(tmp_path / document["folder"])), losses(tmp_path / one["folder"]), rtol=1e-5)


@pytest.mark.deep
def test_a_range_test_finds_the_same_lr(tmp_path: Path) -> None:
    found = []
    for size in (1, 2, 4):
        first, *_ = start(tmp_path, size, "range-test", "config.yaml", "--json", "--quick")
        assert first.returncode == 0, first.stderr
        found.append(json.loads(first.stdout)["suggested_lr"])
    assert found[1:] == pytest.approx([found[0]] * 2, rel=0.05)


@pytest.mark.deep
def test_more_processes_than_samples_in_a_batch(tmp_path: Path) -> None:
    first, other = start(tmp_path, 2, "train", "config.yaml", "--set", "data.batch_size=1")
    assert first.returncode == ExitCode.USAGE and other.returncode == ExitCode.USAGE
    assert "a batch of 1 cannot be divided among 2 processes" in first.stderr
    assert other.stderr == ""


#: What is enough to find an LR that another seed or machine would not move far.
TUNE = ("tune", "config.yaml", "--budget", "12x")


@pytest.mark.deep
@pytest.mark.parametrize("engine", ["loop", "vector"])
def test_a_tune_by_torchrun_finds_the_lr_of_one_process(tmp_path: Path, engine: str) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.replace("33", "32").replace(", drop_last: false", ""))
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "lrtool"]
    done = subprocess.run(
        [sys.executable, *command, *TUNE, "--engine", engine, "--json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    # Whatever the others wrote, there would be more than one document, and more than one folder.
    found = json.loads(done.stdout)
    assert len(runs(tmp_path)) == 1
    assert found["suggested_lr"] == pytest.approx(alone(tmp_path, *TUNE, "--engine", engine)["suggested_lr"], rel=0.05)


@pytest.mark.deep
@pytest.mark.parametrize("command", [("range-test", "config.yaml", "--budget", "8x"), TUNE], ids=["range-test", "tune"])
def test_a_model_that_is_spread_has_the_same_lr(tmp_path: Path, command: tuple[str, ...]) -> None:
    text = CONFIG.replace("probe_steps: 0", "probe_steps: 30")
    first, other = start(tmp_path, 2, *command, "--fsdp", "--json", config=text)
    assert (first.returncode, other.returncode) == (0, 0), first.stderr + other.stderr
    assert other.stdout == other.stderr == "" and len(runs(tmp_path)) == 1
    found = json.loads(first.stdout)
    assert found["engine"]["name"] == "loop" and "--fsdp" in found["engine"]["reason"]
    one = alone(tmp_path, *command, "--engine", "loop")
    assert found["suggested_lr"] == pytest.approx(one["suggested_lr"], rel=0.05)


@pytest.mark.deep
def test_a_spread_model_is_not_stacked(tmp_path: Path) -> None:
    first, other = start(tmp_path, 2, *TUNE, "--fsdp", "--engine", "vector")
    assert (first.returncode, other.returncode) == (ExitCode.USAGE, ExitCode.USAGE)
    assert "each process has a part of the model (--fsdp)" in first.stderr and other.stderr == ""


@pytest.mark.deep
def test_where_the_first_is_killed_the_others_end(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.replace("duration: 40", "duration: 4000"))
    with started(tmp_path, 2, "-m", "lrtool", "tune", "config.yaml", "--budget", "400x", "--engine", "vector") as both:
        first, other = both
        until = time.monotonic() + 60
        while not list(tmp_path.glob("outputs/small/*/metrics.csv")) and time.monotonic() < until:
            time.sleep(0.1)
        assert other.poll() is None
        first.send_signal(signal.SIGKILL)
        _, said = other.communicate(timeout=60)
    assert other.returncode == ExitCode.TERMINATED
    assert "process 0 of 2 died" in said and "Traceback" not in said


@pytest.mark.deep
def test_an_executor_is_refused_where_each_trial_is_shared(tmp_path: Path) -> None:
    first, other = start(tmp_path, 2, *TUNE, "--executor", "local", "--workers", "2")
    assert (first.returncode, other.returncode) == (ExitCode.USAGE, ExitCode.USAGE)
    assert "--executor local: 2 processes were started" in first.stderr and other.stderr == ""
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("command", ["train", "range-test", "tune"])
def test_one_process_cannot_spread_a_model(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([command, str(tmp_path / "config.yaml"), "--fsdp"]) == ExitCode.USAGE
    assert "--fsdp: this spreads a model over several processes, but there is one" in capsys.readouterr().err


def refuse(_: list[str]) -> int:
    raise AssertionError("nothing is to run")


class TestWho:
    @pytest.fixture(autouse=True, params=["0", "1"])
    def rank(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("RANK", request.param)
        monkeypatch.setenv("WORLD_SIZE", "2")
        return str(request.param)

    def test_a_sweep_is_refused(self, rank: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert launched.together()
        assert launched.run_together(["sweep", "x.yaml"], refuse) == ExitCode.USAGE
        assert ("sweep trains each trial in one" in capsys.readouterr().err) is (rank == "0")

    def test_the_first_does_what_is_no_training(self, rank: str) -> None:
        ran: list[list[str]] = []
        assert launched.run_together(["compare", "a", "b"], lambda a: ran.append(a) or 6) == (6 if rank == "0" else 0)
        assert ran == [["compare", "a", "b"]] * (rank == "0")

    def test_help_starts_nothing(self, rank: str) -> None:
        assert launched.run_together(["train", "--help"], lambda _: 0) == 0

    def test_a_time_limit_that_is_none(
        self, rank: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("LRTOOL_RANK_TIMEOUT", "soon")
        assert launched.run_together(["train", "x.yaml"], refuse) == ExitCode.USAGE
        assert ("LRTOOL_RANK_TIMEOUT" in capsys.readouterr().err) is (rank == "0")


def test_one_process_is_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not launched.together()
