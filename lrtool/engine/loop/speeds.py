"""Measured speed of one trial by itself, as the loop engine trains it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from lrtool.engine import clock
from lrtool.engine.cost.amount import Amount
from lrtool.engine.device import intra_threads
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe, Trial
from lrtool.tasks.base import Task

#: Updates of one trial that are timed, those that warm up, and the seconds after which so many at least are enough.
_TIMED, _WARM, _LEAST, _ENOUGH = 64, 4, 8, 0.25
#: The part of the updates that the one that is taken is slower than: none that others interrupted.
_FAST = 0.3


@dataclass(frozen=True)
class LoopSpeed:
    """Seconds of a trial by itself: an update, a validation, and all that comes before the first update."""

    update: float
    validation: float
    begin: float

    def trial(self, amount: Amount) -> float:
        """Seconds of one trial."""
        return self.begin + amount.updates * self.update + amount.validations * self.validation

    @classmethod
    def parse(cls, known: Any) -> LoopSpeed | None:
        """What is remembered, where it makes sense."""
        try:
            speed = cls(*(float(known[name]) for name in ("update", "validation", "begin")))
        except (TypeError, KeyError, ValueError):
            return None
        good = all(0 <= seconds < math.inf for seconds in (speed.update, speed.validation, speed.begin))
        return speed if good and speed.update > 0 else None


def loop_speed(task: Task, trial: Trial, recipe: Recipe) -> LoopSpeed:
    """Time one trial by itself, as the loop engine trains it. `task` is on the recipe's device."""
    short = replace(trial, steps=min(_TIMED, trial.steps))
    quiet = replace(recipe, eval_every=0, stop_on_divergence=False, plateau=None)
    began = clock.worked()
    training = Training(task, short, quiet)
    begin = clock.since(began)
    with intra_threads(worthwhile_threads(task, training.model, recipe.device)):
        update = _updates(training, recipe.device)
        # What it learned does not matter, only that it is validated as after its last update.
        training.step = short.steps
        validation = clock.best_time(training.evaluate_if_due, recipe.device) if task.val is not None else 0.0
    return LoopSpeed(update, validation, max(0.0, begin))


def _updates(training: Training, device: torch.device) -> float:
    """Seconds of an update: a fast one of those that were timed, or the fastest chunk's mean if that is less.

    The first ones warm up, and what else runs on the machine only ever adds: to an update that others interrupt, as to
    the chunk that follows an interruption with nothing left in the caches.
    """
    chunks: list[float] = []
    spent = 0.0
    while training.step < training.trial.steps and (training.step < _LEAST or spent < _ENOUGH):
        before = training.step
        seconds = clock.timed(training.advance, device)
        spent += seconds
        chunks.append(seconds / max(1, training.step - before))
        if training.step == before:
            break
    single = training.trace.seconds[min(_WARM, training.trace.steps - 1) :]
    fast = float(np.quantile(single, _FAST)) if len(single) else math.inf
    return max(1e-7, min(fast, *chunks))
