"""How a stack is trained fastest here: a short measurement, remembered on disk.

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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lrtool.engine.device import intra_threads
from lrtool.engine.stacking import Stack, Update, Work, trial_update
from lrtool.engine.trials import Recipe
from lrtool.errors import OutputError
from lrtool.runs.atomic import write_json
from lrtool.tasks.base import Task

#: Sizes of an uncompiled stack that are tried, each only if the one before was worth it.
_SIZES = (16, 64, 256, 1024)
#: A larger stack must be faster per trial by this much.
_GAIN = 0.9


def cache_file() -> Path:
    """Where measurements are remembered: `lrtool/calibration.json` in the user's cache folder."""
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lrtool" / "calibration.json"


class Memory:
    """Measurements by key; nothing that goes wrong with the file is an error."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path if path is not None else cache_file()

    def get(self, key: str) -> Any:
        """What is remembered under a key, None if nothing."""
        return self._read().get(key)

    def put(self, key: str, value: Any) -> None:
        """Remember."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, {**self._read(), key: value})
        except (OSError, OutputError):
            return

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def signature(task: Task, recipe: Recipe, work: Work, trials: int, update: Update) -> str:
    """A key that changes with whatever changes the speed: shapes, optimizer, machine, versions."""
    source: Any = task.train
    stack = Stack(update.skeleton, recipe, 1)
    described = [
        [(name, list(p.shape), str(p.dtype)) for name, p in {**stack.parameters, **stack.buffers}.items()],
        [(list(part.shape[1:]), str(part.dtype)) for part in (*source.inputs, source.target)],
        [str(update.skeleton), task.batch_size, work.operators, work.bytes, min(trials, _SIZES[-1])],
        [recipe.optimizer.kind, sorted(recipe.optimizer.model_dump(exclude={"lr"}).items()), recipe.accumulate],
        [str(recipe.device), recipe.clip_norm, platform.processor(), platform.machine(), os.cpu_count()],
        [torch.get_num_threads(), torch.__version__],
    ]
    return hashlib.sha256(json.dumps(described, default=str).encode()).hexdigest()[:24]


def plain_speed(task: Task, recipe: Recipe, update: Update, largest: int, trials: int) -> dict[str, Any]:
    """The size of an uncompiled stack and the threads that train it fastest, and its seconds per trial and update."""
    most = min(largest, trials)
    sizes = [min(size, most) for size in _SIZES if size < most] + ([most] if most <= _SIZES[-1] else [])

    def measured(size: int) -> float:
        return _timed(trial_update(update, task, recipe, size), recipe.device) / size

    threads, best, fastest = torch.get_num_threads(), sizes[0], math.inf
    for size in sizes:
        seconds = measured(size)
        if seconds > _GAIN * fastest:
            break
        best, fastest = size, seconds
    if recipe.device.type == "cpu" and threads > 1:
        with intra_threads(1):
            alone = measured(best)
        # The threads of one operator wait for each other; on small ones, or a busy machine, one is faster.
        if alone < fastest:
            threads, fastest = 1, alone
    return {"size": best, "threads": threads, "seconds": fastest}


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


def _timed(once: Callable[[], None], device: torch.device) -> float:
    """Seconds of one call: the best of three, after one to warm up."""
    once()
    return min(_seconds(once, device) for _ in range(3))


def _seconds(once: Callable[[], None], device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    once()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    match device.type:
        case "cuda":
            torch.cuda.synchronize(device)
        case "mps":
            torch.mps.synchronize()


def readable(memory: Mapping[str, Any] | None) -> bool:
    """Whether a remembered measurement has every entry with a sensible value."""
    if not isinstance(memory, dict):
        return False
    values = [memory.get(name) for name in ("size", "threads", "seconds")]
    return all(isinstance(value, int | float) and value > 0 for value in values)
