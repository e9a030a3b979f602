"""What the driver of a sweep does for each trial, with 1,000 workers that report made-up traces and train nothing.

The workers are threads. Printed for 3,000, 10,000 and 100,000 trials: milliseconds of the driver a trial, from what a
worker reports to the trial's row on disk (its own processor time, and by the clock on the wall with all threads), and
those of planning and of the summary. Wanted: recording grows linearly, within 50%. Usage: bookkeeping.py [MOST].
"""

from __future__ import annotations

import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from lrtool.config.sweep.load import load_sweep
from lrtool.engine.observer import Observer
from lrtool.executors.base import Executor, Requirements
from lrtool.experiments.sweep.jobs import Advance
from lrtool.experiments.sweep.options import Options
from lrtool.experiments.sweep.sweep import run_sweep
from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.sweep.store import StoredTrial, read_trials
from lrtool.status import Status

WORKERS = 1000
#: Trials. With as many as workers, most threads have ended while the driver is at the first: it has less to contend
#: with than while workers go on, and a trial costs it half.
SIZES = (3_000, 10_000, 100_000)
#: Updates of a made-up trial, points of its curve, and messages about its progress.
STEPS, POINTS, ADVANCES = 1000, 200, 3
SWEEP = """\
base: {model: mlp, data: {kind: spirals, samples: 200}, optimizer: {kind: sgd, lr: 0.1}, device: cpu,
       train: {duration: 1000}, plateau: {metric: val_loss}}
grid: {optimizer.lr: {log: [0.0001, 10], points: %d}}
seeds: %d
"""


class SimulatedWorkers(Executor):
    """Threads that report what trials might have given; keeps the driver's own time."""

    does = "made-up results"

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    @classmethod
    def start(cls, workers: int | None, requirements: Requirements) -> SimulatedWorkers:
        """As many as there are."""
        return cls()

    @property
    def workers(self) -> int:
        """Threads."""
        return WORKERS

    def run(self, work: Any, jobs: Sequence[Any], report: Callable[[Any], None], lost: Any, rest: Any = None) -> None:
        """Report something for every trial."""
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # As a cluster holds back what a driver cannot take.
        said: queue.Queue[Any] = queue.Queue(maxsize=4 * WORKERS)
        trials = [trial for job in jobs for trial in job.trials]
        for trial in trials:
            waiting.put(trial)
        threads = [threading.Thread(target=made_up, args=(waiting, said), daemon=True) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        began, cpu, left = time.perf_counter(), time.thread_time(), len(trials)
        while left:
            result = said.get()
            report(result)
            left -= isinstance(result, StoredTrial)
        self.cpu += time.thread_time() - cpu
        self.wall += time.perf_counter() - began


def made_up(waiting: queue.SimpleQueue[Any], said: queue.Queue[Any]) -> None:
    """A worker's life."""
    draw = np.random.default_rng(threading.get_ident())
    while True:
        try:
            trial = waiting.get_nowait()
        except queue.Empty:
            return
        for _ in range(ADVANCES):
            said.put(Advance(STEPS // ADVANCES))
        loss = (1 / np.arange(1, POINTS + 1) + draw.random(POINTS)).tolist()
        curve = dict.fromkeys(("step", "lr", "train_loss", "val_loss"), loss)
        values = {"train_loss": loss[-1], "val_loss": loss[-2]}
        said.put(
            StoredTrial(trial.number, trial.variant, trial.settings, trial.config.seed, Status.FINISHED, STEPS, 1.0,
                        values, curve)
        )  # fmt: skip


@dataclass(frozen=True)
class Simulated(Options):
    """Options whose executor is the simulated one."""

    made: SimulatedWorkers | None = None

    def start(self, *_: object) -> Executor | None:
        """The simulated workers."""
        return self.made


def measured(trials: int, folder: Path) -> float:
    """Milliseconds of the driver's processor a trial."""
    seeds = min(100, trials // 100)
    file = folder / "s.yaml"
    file.write_text(SWEEP % (trials // seeds, seeds))
    began = time.perf_counter()
    sweep = load_sweep(file)
    workers = SimulatedWorkers()
    run = run_sweep(sweep, folder / str(trials), Simulated(made=workers), SweepBoard("s"), lambda *_: Observer())
    all_of_it = time.perf_counter() - began
    assert len(read_trials(run.folder.path)) == trials
    each = workers.cpu / trials * 1000
    by_clock, besides = (seconds / trials * 1000 for seconds in (workers.wall, all_of_it - workers.wall))
    print(
        f"{trials:>7,} trials: recording {each:.3f} ms a trial of the driver's own time, {by_clock:.3f} ms by the clock"
        f" with {WORKERS:,} threads; planning and summary {besides:.3f} ms a trial; {all_of_it:.0f} s in all",
        flush=True,
    )
    return each


def main(most: int = 100_000) -> None:
    """Ever more trials."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = [size for size in SIZES if size <= most]
        each = [measured(size, Path(folder)) for size in sizes]
    growth = max(each) / min(each)
    print(f"from {sizes[0]:,} to {sizes[-1]:,} trials a trial costs {growth:.2f} times as much at most")
    if growth > 1.5:
        sys.exit("recording does not grow linearly")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
