"""Sweeps under submitit's imitation of Slurm give what they give here, however often they are preempted."""

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("submitit", reason="submitit is not installed: make test-slurm")

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "executors"))
from slurm_jobs import FOUND, MARK, jobs, preempt
from sweeps import project, same, swept

from lrtool.report.terminal.board import SweepBoard


@pytest.fixture
def on_slurm(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    return {"executor": "slurm", "slurm_cluster": "local", "workers": 2}


class Preempting(SweepBoard):
    """Asks for the node of a running job each time so many trials have ended."""

    def __init__(self, every):
        super().__init__("s")
        self._every, self.count, self.preempted = every, 0, 0

    def ended(self, trial):
        super().ended(trial)
        self.count += 1
        if self.count % self._every == 0:
            for pid in jobs(os.getpid())[:1]:
                preempt(pid)
                self.preempted += 1


@pytest.mark.skipif(not FOUND, reason="finds processes in /proc")
def test_preempted_again_and_again(tmp_path, on_slurm, monkeypatch):
    monkeypatch.setenv(MARK, str(os.getpid()))
    file, board = project(tmp_path / "mine", seconds=0.02), Preempting(2)
    there = swept(file, tmp_path / "there", board, **on_slurm)
    assert board.preempted >= 2
    same(there, swept(file, tmp_path / "here", executor="in-process"))
    assert sorted(each.name for each in (tmp_path / "there").iterdir()) == ["s"]


def test_a_pruned_sweep(tmp_path, on_slurm):
    file = project(tmp_path / "mine", "grid: {optimizer.lr: {log: [0.001, 1], points: 6}}\nprune: {kind: halving}\n")
    same(swept(file, tmp_path / "there", **on_slurm), swept(file, tmp_path / "here", executor="in-process"))
