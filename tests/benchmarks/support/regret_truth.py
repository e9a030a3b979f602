"""The loss that each LR of a dense grid really leads to: measured once per task, and kept in `truth`, a folder up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from lrtool.analysis.divergence import first_divergence
from lrtool.config.schema import Config
from lrtool.engine.trials import Trace
from lrtool.engine.vector.engine import VectorEngine
from lrtool.experiments.final import final_loss
from lrtool.experiments.setup import Setup, prepare

Array = NDArray[np.float64]

TRUTH = Path(__file__).parents[1] / "truth"
#: Settings that change nothing about the losses.
_BESIDE, _BESIDE_TRAINING = ("range_test",), ("checkpoint_every",)
#: Part of the cache's key: raise it when what is measured changes.
VERSION = 3
SEEDS = 8
#: Far from the seeds that methods train with, so that a lucky seed is no help.
FIRST_SEED = 10_000
#: A coarse look at all LRs with two seeds, then LRs a factor √2 apart around the best; under a constant LR
#: further up, since the stability limit can be far above it.
COARSE = np.geomspace(4.0**-9, 4.0**4, 14)
DENSE = 2.0 ** np.arange(-5, 5.5, 0.5)
DENSE_CONSTANT = 2.0 ** np.arange(-5, 8.5, 0.5)
#: Where a training starts and ends: the mean of so many losses. At the smallest LR the first ones have not moved yet.
_START, _END = 8, 40


@dataclass(frozen=True)
class Truth:
    """Final losses of one task under one schedule.

    `lr` (n,) ascending; `losses` (n, seeds), infinite where a training broke down; `trained` (n, seeds):
    whether it neither diverged nor ended above its start. Outside the dense grid `coarse_lr` and
    `coarse_losses` (n,), the mean of two seeds.
    """

    lr: Array
    losses: Array
    trained: Array
    coarse_lr: Array
    coarse_losses: Array

    @property
    def mean(self) -> Array:
        """Expected final loss at each LR."""
        means: Array = self.losses.mean(axis=1)
        return means

    @property
    def best(self) -> float:
        """The least expected loss of the grid."""
        return float(self.mean.min())

    def excess(self, lr: float) -> float:
        """By what part the expected loss at an LR is above the best; between LRs of the grid, interpolated."""
        inside = self.lr[0] <= lr <= self.lr[-1]
        known, means = (self.lr, self.mean) if inside else (self.coarse_lr, self.coarse_losses)
        with np.errstate(invalid="ignore"):
            log_loss = np.interp(np.log(lr), np.log(known), np.log(np.minimum(means, 1e30)))
        return float(np.exp(log_loss)) / self.best - 1

    @property
    def noise_floor(self) -> Array:
        """(seeds,): the excess if one seed chooses and the others judge."""
        floors = []
        for seed in range(self.losses.shape[1]):
            others = np.delete(self.losses, seed, axis=1).mean(axis=1)
            floors.append(others[int(np.argmin(self.losses[:, seed]))] / others.min() - 1)
        return np.array(floors)

    @property
    def limit(self) -> float | None:
        """The largest LR up to which trainings go well: per seed, then the geometric median over seeds.

        None where that lies outside the grid.
        """
        before = [float(np.argmin(np.append(row, 0))) - 1 for row in self.trained.T]
        middle = float(np.median(before))
        if not 0 <= middle < len(self.lr) - 1:
            return None
        return float(np.exp(np.interp(middle, np.arange(len(self.lr)), np.log(self.lr))))


def setup_of(config: Config, schedule: str, seed: int = 0) -> Setup:
    """The task under another schedule, with another seed."""
    changed = Config.model_validate({**config.model_dump(), "schedule": {"kind": schedule}, "seed": seed})
    return prepare(changed.beside(config.folder))


def truth(config: Config, schedule: str) -> Truth:
    """The task's truth, as it is kept, or measured now."""
    known = stored(config, schedule)
    if known is not None:
        return known
    setup = setup_of(config, schedule)
    path = _path(setup)
    measured = _measure(setup)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **vars(measured))
    return measured


def stored(config: Config, schedule: str) -> Truth | None:
    """The task's truth if it is kept."""
    path = _path(setup_of(config, schedule))
    if not path.exists():
        return None
    with np.load(path) as known:
        return Truth(**known)


def _path(setup: Setup) -> Path:
    trained = json.dumps(_said(setup.config, _BESIDE), sort_keys=True)
    key = hashlib.sha256(f"{VERSION} {SEEDS} {trained}".encode()).hexdigest()[:12]
    return TRUTH / f"{setup.config.name}-{setup.config.schedule.kind}-{key}.npz"


def _said(section: BaseModel, beside: Container[str] = ()) -> dict[str, Any]:
    """What a section of a config says beyond its defaults: a key that is new there does not make a truth untrue."""
    said: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if name in beside or (name != "kind" and value == field.get_default(call_default_factory=True)):
            continue
        inner = isinstance(value, BaseModel)
        said[name] = _said(value, _BESIDE_TRAINING) if inner else _told(to_jsonable_python(value))
    return said


def _told(value: Any) -> Any:
    """A value without the parts that say nothing: a duration or level may have got new ones since."""
    if not isinstance(value, dict):
        return value
    return {name: _told(part) for name, part in value.items() if part is not None}


def _measure(setup: Setup) -> Truth:
    coarse, _ = _trained(setup, COARSE, 2)
    means = coarse.mean(axis=1)
    dense = DENSE_CONSTANT if setup.config.schedule.kind == "constant" else DENSE
    lrs = COARSE[int(np.argmin(means))] * dense
    losses, trained = _trained(setup, lrs, SEEDS)
    return Truth(lrs, losses, trained, COARSE, means)


def _trained(setup: Setup, lrs: Sequence[float] | Array, seeds: int) -> tuple[Array, Array]:
    """Final losses and whether trainings went well, both (LRs, seeds)."""
    trials = [setup.trial(FIRST_SEED + seed, float(lr)) for lr in lrs for seed in range(seeds)]
    traces = VectorEngine(slots=64, compile=False).run(
        setup.task, trials, replace(setup.recipe, stop_on_divergence=False)
    )
    losses = np.array([final_loss(trace) for trace in traces])
    return np.where(np.isfinite(losses), losses, np.inf).reshape(-1, seeds), _went_well(traces, seeds)


def _went_well(traces: Sequence[Trace], seeds: int) -> Array:
    """1 for each of the trainings (ascending LRs × seeds) that neither diverged nor ended above its start, else 0."""
    starts = [trace.train_loss[:_START].mean() for trace in traces[:seeds]]
    well = [
        len(trace.train_loss) == trace.trial.steps
        and first_divergence(trace.train_loss) is None
        and trace.train_loss[-_END:].mean() <= starts[number % seeds]
        for number, trace in enumerate(traces)
    ]
    return np.array(well, dtype=np.float64).reshape(-1, seeds)
