"""Memory of ten thousand trials of a linear model in one call, beyond what importing torch takes.

Prints the peak of this process and of its children together, and the time; fails above 1 GiB.

    python tests/benchmarks/vector_memory.py [--trials 10000] [--steps 200]
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import threading
import time
from pathlib import Path

import torch

from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.optimizers import KINDS as OPTIMIZERS
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.status import Status
from lrtool.tasks.base import BuildContext
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets import KINDS as DATASETS
from lrtool.tasks.losses import KINDS as LOSSES
from lrtool.tasks.models import KINDS as MODELS

LIMIT = 2**30


def held() -> int:
    """Bytes in memory of this process and its children; what they share counts once (proportional set size)."""
    total = 0
    for process in [Path("/proc/self"), *(Path("/proc") / child for child in children())]:
        try:
            lines = (process / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def children() -> list[str]:
    """Process numbers of the direct children of all threads."""
    lists = Path("/proc/self/task").glob("*/children")
    return [number for each in lists for number in each.read_text().split()]


class Peak(threading.Thread):
    """Looks at the memory ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes, self._over = 0, threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._over.wait(0.1):
            self.bytes = max(self.bytes, held())

    def stop(self) -> int:
        """The highest that was seen."""
        self._over.set()
        self.join()
        return self.bytes


def main() -> int:
    """Train, and print what it took; 0 within the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    before = held()
    made = MODELS["linear"](), DATASETS["digits"](batch_size=64)
    task = build_task("memory", *made, LOSSES["cross_entropy"](), None, BuildContext())
    optimizer, schedule = OPTIMIZERS["sgd"](lr=0.1), SCHEDULES["cosine"]()
    trials = [
        Trial(n, options.steps, {"lr": schedule.bind(0.001 * 1.0005**n, options.steps)}) for n in range(options.trials)
    ]
    peak = Peak()
    peak.start()
    began = time.perf_counter()
    engine = VectorEngine(planned=lambda plan: print(plan.reason))
    traces = engine.run(dataclasses.replace(task, val=None), trials, Recipe(optimizer, torch.device("cpu")))
    seconds = time.perf_counter() - began
    beyond = peak.stop() - before
    finished = sum(trace.status is Status.FINISHED for trace in traces)
    print(f"{len(traces)} trials x {options.steps} updates in {seconds:.1f} s, {finished} finished")
    verdict = "PASS" if beyond < LIMIT else "FAIL"
    print(f"{verdict}: {beyond / 2**20:.0f} MiB beyond the {before / 2**20:.0f} at start (limit {LIMIT / 2**20:.0f})")
    return 0 if beyond < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
