"""Measurements of this machine, kept on disk: speeds, and how long compiling took.

What is remembered only saves time; the file may be deleted at any moment.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from lrtool.engine.cost.work import Work
from lrtool.engine.device import intra_threads
from lrtool.engine.trials import Recipe
from lrtool.errors import OutputError
from lrtool.runs.atomic import write_json
from lrtool.tasks.base import Task
from lrtool.tasks.sources import Source, TensorSource

#: Where nothing was measured: compiling may take so many times longer than usual (4.6 to 75 s were seen).
_UNKNOWN = 3.0
#: The part of the compile times remembered that the upper end covers, and how many are.
_UPPER, _KEPT = 0.9, 30


def cache_file() -> Path:
    """Where measurements are remembered: `lrtool/calibration.json` in the user's cache folder."""
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lrtool" / "calibration.json"


class Memory:
    """The file of measurements by key; nothing that goes wrong with the file is an error."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else cache_file()

    def get(self, key: str) -> Any:
        """What is remembered under a key, None if nothing."""
        return self._read().get(key)

    def put(self, key: str, value: Any) -> None:
        """Remember."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, {**self._read(), key: value})
        except (OSError, OutputError):
            return

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def signature(task: Task, recipe: Recipe, model: nn.Module, work: Work | None) -> str:
    """A key that changes with whatever changes the speed: shapes, optimizer, machine, versions."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    described = [
        [(name, list(p.shape), str(p.dtype)) for name, p in state.items()],
        [_described(task.train), _described(task.val), sorted(task.metrics)],
        [str(model), task.batch_size, None if work is None else [work.operators, work.flops, work.bytes]],
        [recipe.optimizer.kind, sorted(recipe.optimizer.model_dump(exclude={"lr"}).items()), recipe.accumulate],
        [str(recipe.device), recipe.precision, recipe.clip_norm, platform.processor(), platform.machine()],
        [os.cpu_count(), torch.get_num_threads(), torch.__version__],
    ]
    return hashlib.sha256(json.dumps(described, default=str).encode()).hexdigest()[:24]


def _described(source: Source | None) -> Any:
    """The kind of a data source, its length, and what a sample looks like where that is known."""
    if source is None:
        return None
    parts = (*source.inputs, source.target) if isinstance(source, TensorSource) else ()
    return [type(source).__name__, len(source), [(list(part.shape[1:]), str(part.dtype)) for part in parts]]


class Seconds(NamedTuple):
    """A time that is expected: with some luck, most likely, and at most by all that was seen."""

    low: float
    likely: float
    high: float

    @classmethod
    def around(cls, seconds: float, spread: float = 0.25) -> Seconds:
        """A time that was measured, and may be off by this part."""
        return cls(seconds * (1 - spread), seconds, seconds * (1 + spread))

    def plus(self, other: Seconds) -> Seconds:
        """One after the other."""
        return Seconds(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, factor: float) -> Seconds:
        """So many times."""
        return Seconds(*(factor * each for each in self))

    @property
    def written(self) -> str:
        """For people: "3.5 to 12 s"."""
        low, high = (f"{each:.2g}" if each < 10 else f"{each:.0f}" for each in (self.low, self.high))
        return f"{low} s" if low == high else f"{low} to {high} s"


class CompileTimes:
    """How long compiling takes on this machine, from what it took before, by kind of device.

    What is remembered is how many times longer it took than `usual`, which goes by the size of the graph.
    """

    def __init__(self, memory: Memory, device: torch.device) -> None:
        self._memory, self._key = memory, f"compiling {device.type} {torch.__version__}"

    def expected(self, usual: float) -> Seconds:
        """Of a graph that usually takes so long: wide where nothing was measured, else by the upper end of that."""
        known = sorted(self._factors())
        if not known:
            return Seconds(usual, _UNKNOWN**0.5 * usual, _UNKNOWN * usual)
        # The fewer there are, the further beyond the longest one the next may be.
        upper = known[min(len(known) - 1, math.ceil(_UPPER * len(known)))] * (1 + 1 / (1 + len(known)))
        return Seconds(known[0] * usual, float(np.median(known)) * usual, upper * usual)

    def add(self, usual: float, seconds: float) -> None:
        """One more was compiled."""
        self._memory.put(self._key, [*self._factors(), seconds / usual][-_KEPT:])

    def _factors(self) -> list[float]:
        known = self._memory.get(self._key)
        values = known if isinstance(known, list) else []
        return [float(each) for each in values if isinstance(each, int | float) and 0 < each < math.inf]


def in_parallel(work: Callable[[], Callable[[], None]], workers: int, repeats: int) -> float:
    """Seconds of one repeat when so many threads, of one torch thread each, do `repeats` of their own work."""
    jobs = [work() for _ in range(workers)]
    ready = threading.Barrier(workers + 1)

    def one(job: Callable[[], None]) -> None:
        with intra_threads(1):
            job()
            ready.wait()
            for _ in range(repeats):
                job()

    threads = [threading.Thread(target=one, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - began) / repeats
