"""The losses of tasks over LR, length, batch size and width: measured once, kept in `truth/transfer`, a folder up.

Transfers can then be replayed: what they would train is looked up.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support import transfer_tasks
from support.transfer_tasks import TARGETS, TASKS, config, value

from lrtool.engine.vector.engine import VectorEngine
from lrtool.experiments.final import final_loss
from lrtool.experiments.setup import prepare

Array = NDArray[np.float64]
#: (updates, batch size, width or 0)
Values = tuple[int, int, int]

KEPT = Path(__file__).parents[1] / "truth" / "transfer"
#: Lengths and sizes that are measured, in those of the task's config; of sizes the smallest is the config's.
LENGTHS, SIZES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0), (1, 2, 4, 8)
_LONGER = 2.0
#: Seeds of small runs and of targets: no transfer that is really trained uses them.
SEEDS, TARGET_SEEDS, FIRST_SEED = 3, 4, 20_000
#: LRs of small runs are a factor 2 apart, those of targets √2; so many octaves (halves of them) either way.
_OCTAVES, _HALVES = 6, 7
_SLOTS = 192


@dataclass(frozen=True)
class Grid:
    """Final losses (LRs, seeds) of one cell at `lrs` ascending, NaN where a training diverged."""

    lrs: Array
    losses: Array

    @property
    def mean(self) -> Array:
        """Over the seeds; NaN where any diverged."""
        return np.asarray(self.losses.mean(axis=1))

    def loss(self, lr: float, seed: int) -> float:
        """The loss of one seed at any LR: on a straight line in logs; NaN beside a diverged one and outside."""
        known = self.losses[:, seed % self.losses.shape[1]]
        scale = np.log(known) if np.nanmin(known) > 0 else known
        at = float(np.interp(np.log(lr), np.log(self.lrs), scale, left=scale[0], right=np.nan))
        return math.exp(at) if np.nanmin(known) > 0 else at


@dataclass
class Truth:
    """All cells of a task."""

    name: str
    cells: dict[Values, Grid] = field(default_factory=dict)

    def save(self) -> None:
        """Keep them."""
        KEPT.mkdir(parents=True, exist_ok=True)
        arrays = {}
        for cell, grid in self.cells.items():
            arrays[f"lrs {' '.join(map(str, cell))}"] = grid.lrs
            arrays[f"losses {' '.join(map(str, cell))}"] = grid.losses.astype(np.float32)
        np.savez_compressed(_path(self.name), **arrays)


def truth(name: str, measure: bool = True) -> Truth:
    """A task's grids: what is kept, and the rest measured now."""
    found = Truth(name)
    if _path(name).exists():
        with np.load(_path(name)) as kept:
            for label in kept.files:
                if label.startswith("lrs "):
                    cell: Values = tuple(int(each) for each in label[4:].split())  # type: ignore[assignment]
                    found.cells[cell] = Grid(kept[label], kept[f"losses {label[4:]}"].astype(np.float64))
    if measure:
        _measure(found)
    return found


def base(name: str) -> Values:
    """The cell of the config as it is."""
    width = "model.args.width"
    return (value(name, "train.duration"), value(name, "data.batch_size"),
            value(name, width) if "args" in TASKS[name]["model"] else 0)  # fmt: skip


def target(name: str, key: str) -> Values:
    """The cell of a target."""
    own = list(base(name))
    own[[each for each, _ in TARGETS.values()].index(key)] *= dict(TARGETS.values())[key]
    return (own[0], own[1], own[2])


def settings(cell: Values) -> dict[str, float]:
    """A cell as keys of the config."""
    return {key: number for (key, _), number in zip(TARGETS.values(), cell, strict=True) if number}


def _small(name: str) -> Iterator[Values]:
    """The cells that a transfer may train: lengths, crossed with batch sizes or with widths."""
    own = base(name)
    for key, _ in transfer_tasks.targets(name).values():
        place = [each for each, _ in TARGETS.values()].index(key)
        for size in SIZES if place else (1,):
            for length in (*LENGTHS, *((_LONGER,) if size == 1 else ())):
                cell = [round(own[0] * length), *own[1:]]
                if place:
                    cell[place] *= size
                yield (cell[0], cell[1], cell[2])


def _measure(found: Truth) -> None:
    name, own = found.name, base(found.name)
    if own not in found.cells:
        coarse = 4.0 ** np.arange(-8, 3)
        around = coarse[int(np.nanargmin(np.nan_to_num(_trained(name, own, coarse, 1)[:, 0], nan=np.inf)))]
        lrs = around * 2.0 ** np.arange(-_OCTAVES, _OCTAVES + 1)
        found.cells[own] = Grid(lrs, _trained(name, own, lrs, SEEDS))
    lrs = found.cells[own].lrs
    for cell in dict.fromkeys(_small(name)):
        if cell not in found.cells:
            found.cells[cell] = Grid(lrs, _trained(name, cell, lrs, SEEDS))
    found.save()
    for key, _ in transfer_tasks.targets(name).values():
        cell = target(name, key)
        if cell not in found.cells:
            first = np.nan_to_num(_trained(name, cell, lrs, 1)[:, 0], nan=np.inf)
            dense = lrs[int(first.argmin())] * 2.0 ** (np.arange(-_HALVES, _HALVES + 1) / 2)
            found.cells[cell] = Grid(dense, _trained(name, cell, dense, TARGET_SEEDS))
            found.save()


def _trained(name: str, cell: Values, lrs: Array, seeds: int) -> Array:
    """Final losses (LRs, seeds) of real trainings."""
    setup = prepare(config(name, settings(cell)))
    trials = [setup.trial(FIRST_SEED + seed, float(lr)) for lr in lrs for seed in range(seeds)]
    traces = VectorEngine(slots=_SLOTS, compile=False).run(setup.task, trials, setup.recipe)
    return np.array([final_loss(trace) for trace in traces]).reshape(len(lrs), seeds)


def _path(name: str) -> Path:
    said = json.dumps(TASKS[name], sort_keys=True)
    return KEPT / f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:12]}.npz"


__all__ = ["Grid", "Truth", "Values", "base", "settings", "target", "truth"]


def of(settings: Mapping[str, float], own: Values) -> Values:
    """The cell with these values of keys, the others as in the config."""
    first, second, third = (int(settings.get(key, now)) for (key, _), now in zip(TARGETS.values(), own, strict=True))
    return first, second, third
