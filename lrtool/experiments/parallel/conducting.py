"""A command that several processes make together: the first runs it, and the others share in each of its trainings.

The first process (rank 0) reads the config, decides, writes and speaks; whatever it trains by the loop engine it
announces, and all train it, each a part of every batch. So the answer is one, and nothing in a command knows of it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from lrtool.config.schema import Config
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.speeds import LoopSpeed
from lrtool.engine.observer import Observer
from lrtool.engine.parallel.joining import current
from lrtool.engine.parallel.ranks import Ranks
from lrtool.engine.trials import Array, Engine, Recipe, Trace, Trial
from lrtool.errors import LrtoolError, TaskError
from lrtool.experiments.parallel.announcing import announce, heard, received_checkpoint, send_checkpoint
from lrtool.experiments.setup import Setup, prepare
from lrtool.schedules import Curve
from lrtool.tasks.base import Task

#: Updates that show how fast the processes are together.
_TIMED = 24


@dataclass(frozen=True)
class Conducted:
    """An engine whose trials all processes train; with one process it is the loop engine itself."""

    engine: LoopEngine
    ranks: Ranks

    def run(self, task: Task, trials: Sequence[Trial], recipe: Recipe, observer: Observer | None = None) -> list[Trace]:
        """Train every trial, together."""
        _share_setup(self.ranks)
        announce(self.ranks, SharedTraining.of(self.engine, task, trials, recipe))
        try:
            for resumed in self.engine.resume.values():
                send_checkpoint(self.ranks, resumed)
            return replace(self.engine, ranks=self.ranks, workers=1).run(task, trials, recipe, observer)
        except BaseException as error:
            # The others are amid an update: they hear nothing any more, and see why when they miss this process.
            self.ranks.failed(error)
            self.ranks.broken = True
            raise


def conducted(engine: LoopEngine) -> Engine:
    """The engine as this process's company trains: by itself, or each trial together with the others."""
    return engine if current().alone else Conducted(engine, current())


def speed_together(task: Task, trial: Trial, recipe: Recipe) -> LoopSpeed:
    """The speed of one trial that all processes train."""
    short = replace(trial, steps=min(_TIMED, trial.steps))
    quiet = replace(recipe, eval_every=0, stop_on_divergence=False, plateau=None)
    began = time.perf_counter()
    (trace,) = Conducted(LoopEngine(), current()).run(task, [short], quiet)
    update = float(np.median(trace.seconds[-max(1, trace.steps // 2) :]))
    validation = trace.evaluations[-1].seconds if trace.evaluations else 0.0
    begin = time.perf_counter() - began - float(trace.seconds.sum()) - validation
    return LoopSpeed(max(update, 1e-7), validation, max(0.0, begin))


@dataclass(frozen=True)
class Prepare:
    """Announced: build this config, which may run this code."""

    config: Config
    allow_import: frozenset[str]
    sharded: bool


@dataclass(frozen=True)
class Farewell:
    """Announced: there is nothing more to do; `code`: what to return to the shell, `result`: what all were to find."""

    code: int = 0
    result: Any = None


@dataclass(frozen=True)
class SharedTraining:
    """Announced: train these trials."""

    trials: Sequence[Trial]
    recipe: Recipe
    validated: bool
    checkpoint_every: int
    checkpoint_at: Collection[int]
    saves: bool
    keeps_best: bool
    resumed: Sequence[int]

    @classmethod
    def of(cls, engine: LoopEngine, task: Task, trials: Sequence[Trial], recipe: Recipe) -> SharedTraining:
        """What an engine is asked for; what only the config gives is left out."""
        plain: Any = replace(recipe, optimizer=None, device=torch.device("cpu"))  # type: ignore[arg-type]
        saves, best = engine.checkpoint is not None, engine.best is not None
        tables = [_tabled(trial) for trial in trials]
        every, at = engine.checkpoint_every, tuple(engine.checkpoint_at)
        return cls(tables, plain, task.val is not None, every, at, saves, best, tuple(engine.resume))

    def do(self, setup: Setup, ranks: Ranks) -> None:
        """Share in the training."""
        task = setup.task if self.validated else replace(setup.task, val=None)
        recipe = replace(self.recipe, optimizer=setup.recipe.optimizer, device=setup.recipe.device)
        engine = LoopEngine(
            checkpoint=_dropped if self.saves else None,
            checkpoint_every=self.checkpoint_every,
            checkpoint_at=self.checkpoint_at,
            resume={number: received_checkpoint(ranks) for number in self.resumed},
            best=_dropped if self.keeps_best and ranks.sharded else None,
            ranks=ranks,
        )
        engine.run(task, self.trials, recipe)


@dataclass(frozen=True)
class _Table:
    """A curve's values by step: unlike a formula, they can be sent."""

    values: Array

    def __call__(self, t: Array) -> Array:
        return self.values[np.minimum(t.astype(np.int64), len(self.values) - 1)]


def _share_setup(ranks: Ranks) -> None:
    """Have the others build what this process has prepared; TaskError where one of them cannot.

    In a user's own script each process has it from its own objects.
    """
    wanted, ranks.prepared = ranks.prepared, None
    if wanted is not None and not ranks.scripted:
        config, allow_import = wanted
        announce(ranks, Prepare(config, allow_import, ranks.sharded))
        _all_well(ranks, None)


def dismiss(ranks: Ranks, end: Farewell) -> None:
    """Tell all others that there is nothing more to do, and see that they hear it."""
    announce(ranks, end)
    if ranks.roll is not None:
        ranks.roll.see_off()


def follow(ranks: Ranks, setup: Setup | None = None) -> Farewell:
    """Share in whatever the first process announces until it says farewell."""
    while True:
        match heard(ranks):
            case Prepare() as wanted:
                setup = _prepared(ranks, wanted)
            case SharedTraining() as training:
                assert setup is not None
                training.do(setup, ranks)
            case Farewell() as end:
                if ranks.roll is not None:
                    ranks.roll.leave()
                return end


def _prepared(ranks: Ranks, wanted: Prepare) -> Setup | None:
    ranks.sharded = wanted.sharded
    try:
        setup = prepare(wanted.config, wanted.allow_import)
    except LrtoolError as error:
        _all_well(ranks, error)
        raise
    _all_well(ranks, None)
    return setup


def _all_well(ranks: Ranks, error: LrtoolError | None) -> None:
    """Raise TaskError in every process where one could not do what was announced."""
    for rank, said in enumerate(ranks.gathered(str(error) if error is not None else None)):
        if said is not None and error is None:
            raise TaskError(f"process {rank} of {ranks.size} failed: {said}")


def _tabled(trial: Trial) -> Trial:
    curves = {name: Curve(_Table(curve.table()), curve.steps, curve.peak) for name, curve in trial.curves.items()}
    return replace(trial, curves=curves)


def _dropped(_: int, __: object) -> None:
    """What the first process keeps, the others need not."""
