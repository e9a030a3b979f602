"""The sweep that the benchmarks of clusters carry out, and what is asked of its trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lrtool.config.sweep.load import load_sweep
from lrtool.engine.observer import Observer
from lrtool.experiments.sweep.options import Options
from lrtool.experiments.sweep.sweep import run_sweep
from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.sweep.store import StoredTrial, read_trials

BASE = Path(__file__).parents[3] / "configs" / "digits-mlp.yaml"
#: Two schedules × so many LRs × so many seeds, of which one half trains stacked, the other one by one.
SWEEP = """\
base: {{extends: {base}, name: cluster, device: cpu, train: {{duration: 30, eval_every: 10}}}}
variants: {{stacked: {{}}, one-by-one: {{plateau: {{metric: val_loss, patience: 1}}}}}}
grid: {{schedule: [cosine, constant], optimizer.lr: {{log: [0.01, 1], points: {lrs}}}, seed: {seeds}}}
"""


class Counting(SweepBoard):
    """A board that counts how often each trial was recorded as over, and hears of each."""

    def __init__(self, then: Callable[[int], None] = lambda count: None) -> None:
        super().__init__("cluster")
        self.recorded: Counter[int] = Counter()
        self._then = then

    def ended(self, trial: StoredTrial) -> None:
        """Count, and say how many have ended."""
        super().ended(trial)
        self.recorded[trial.number] += 1
        self._then(sum(self.recorded.values()))


def write(folder: Path, lrs: int, seeds: int) -> Path:
    """Write the sweep's file; it has 4 · lrs · seeds trials."""
    file = folder / "s.yaml"
    file.write_text(SWEEP.format(base=BASE, lrs=lrs, seeds=seeds))
    return file


def swept(file: Path, output: Path, board: Counting, **options: object) -> list[StoredTrial]:
    """Carry the sweep out; gives its trials, each of which was recorded once."""
    run = run_sweep(load_sweep(file), output, Options(**options), board, lambda *_: Observer())  # type: ignore[arg-type]
    trials = read_trials(run.folder.path)
    doubled = {number: count for number, count in board.recorded.items() if count != 1}
    assert not doubled, f"recorded more than once: {doubled}"
    assert len(board.recorded) == len(trials), "a trial was lost"
    return trials


def equal(ours: list[StoredTrial], theirs: list[StoredTrial]) -> None:
    """Trial by trial, everything but the time taken; bit by bit."""
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_equal({**vars(one), "seconds": 0}, {**vars(other), "seconds": 0})
