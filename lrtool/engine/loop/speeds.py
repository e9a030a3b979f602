"""Measured speed of one trial by itself, as the loop engine trains it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from lrtool.engine import clock
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.in_part import validated_in_part
from lrtool.engine.cost.watching import watching
from lrtool.engine.device import intra_threads
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe, Trial
from lrtool.tasks.base import Task

#: Updates of one trial that are timed, and the seconds after which so many at least are enough.
_TIMED, _LEAST, _ENOUGH = 64, 8, 0.25
#: Chunks of updates in which caches and allocators still fill: each is about twice as long as the one before.
_WARMING = 2
#: Updates between two validations that are timed with what they do to the updates after them, and how many of them.
_BETWEEN, _VALIDATIONS = 16, 4


@dataclass(frozen=True)
class LoopSpeed:
    """Seconds of a trial by itself: an update, a validation, and all that comes before the first update.

    A validation ends a chunk of updates and leaves the caches to other data: what that costs is counted as its own.
    """

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
    # The first one in a process may import half of torch.
    Training(task, short, quiet)
    began = clock.worked()
    training = Training(task, short, quiet)
    begin = clock.since(began)
    with intra_threads(worthwhile_threads(task, training.model, recipe.device)):
        update = _update(training, recipe.device)
        # What it learned does not matter, only that it is validated as after its last update.
        training.step = short.steps
        training.task, times = validated_in_part(task)
        validation = times * clock.best_time(training.evaluate_if_due, recipe.device) if task.val is not None else 0.0
        if task.val is not None and _BETWEEN * update + validation < _ENOUGH:
            validation = max(validation, _between(task, short, quiet) - _BETWEEN * update)
    # It was not watched, so that it did not end where the LR is too large.
    return LoopSpeed(update + watching(recipe), validation, max(0.0, begin))


def _update(training: Training, device: torch.device) -> float:
    """Seconds of an update, the mean of those after warming up: the fastest ones alone promise too much."""
    chunks: list[tuple[int, float]] = []
    spent = 0.0
    while training.step < training.trial.steps and (training.step < _LEAST or spent < _ENOUGH):
        before = training.step
        seconds = clock.timed(training.advance, device)
        spent += seconds
        if training.step == before:
            break
        chunks.append((training.step - before, seconds))
    counted = chunks[_WARMING:] or chunks or [(1, spent)]
    return max(1e-7, sum(seconds for _, seconds in counted) / sum(updates for updates, _ in counted))


def _between(task: Task, trial: Trial, recipe: Recipe) -> float:
    """Seconds from one validation to the next, the least of a few; 0 where a trial is too short for two."""
    training = Training(task, trial, replace(recipe, eval_every=_BETWEEN))
    cycles: list[float] = []
    for step in range(_BETWEEN, min(trial.steps, _VALIDATIONS * _BETWEEN) + 1, _BETWEEN):
        cycles.append(clock.timed(partial(_to_a_validation, training, step), recipe.device))
        if training.step < step:
            break  # it diverged
    # The first one warms up.
    return min(cycles[1:], default=0.0)


def _to_a_validation(training: Training, step: int) -> None:
    while training.step < step:
        if not training.advance():
            return
    training.evaluate_if_due()
