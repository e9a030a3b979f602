"""Command lines that several processes were started with."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lrtool.cli.parts import launched
from lrtool.errors import ExitCode

CONFIG = """\
name: small
device: cpu
model: {kind: mlp, hidden: [8]}
data: {kind: digits, batch_size: 33, val_fraction: 0.2, drop_last: false}
optimizer: {kind: sgd, lr: 0.1}
train: {duration: 40, eval_every: 20}
range_test: {steps: 40, seeds: 1, probe_steps: 0}
"""


def start(folder: Path, size: int, *arguments: str, config: str = CONFIG) -> list[subprocess.CompletedProcess[str]]:
    """What `size` processes of one command line returned, as a launcher starts them; none outlives its time."""
    (folder / "config.yaml").write_text(config)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    shared |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "LRTOOL_RANK_TIMEOUT": "60"}
    command = [sys.executable, "-m", "lrtool", *arguments]
    processes = [
        subprocess.Popen(
            command,
            cwd=folder,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        ended = [(process, *process.communicate(timeout=120)) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [subprocess.CompletedProcess(command, process.returncode, out, err) for process, out, err in ended]


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
    assert len([path for path in (tmp_path / "outputs/small").iterdir() if path.name != "latest"]) == 1
    alone = subprocess.run(
        [sys.executable, "-m", "lrtool", "train", "config.yaml", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    np.testing.assert_allclose(
        losses(Path(tmp_path / document["folder"])), losses(tmp_path / json.loads(alone.stdout)["folder"]), rtol=1e-5
    )


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
