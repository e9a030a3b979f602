"""Measured speeds of training on this machine: one trial alone, and stacks by their size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from lrtool.engine import clock
from lrtool.engine.device import intra_threads
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import Update, trial_update
from lrtool.engine.vector.validation import Validation
from lrtool.tasks.base import Task

#: Sizes of an uncompiled stack that are tried, each only if the one before was worth it.
SIZES = (2, 8, 32, 128, 512)
#: A larger stack must be faster per trial by this much.
_GAIN = 0.9
#: All threads must beat one by this much: they wait for each other, and the more the busier the machine is.
_THREADS_GAIN = 0.85
#: Updates of one trial that are timed, those that warm up, and the seconds after which so many at least are enough.
_TIMED, _WARM, _LEAST, _ENOUGH = 64, 4, 8, 0.25
#: The part of the updates that the one that is taken is slower than: none that others interrupted.
_FAST = 0.3
#: Calls that are timed, at least and at most, and the seconds after which the least are enough.
_LEAST_CALLS, _MOST_CALLS, _CALLED = 2, 8, 0.1


class Amount(NamedTuple):
    """An amount of training: so many trials, of so many updates and so many validations each."""

    trials: int
    updates: float
    validations: float

    @classmethod
    def of(cls, task: Task, trials: Sequence[Trial], recipe: Recipe) -> Amount:
        """The amount of these trials; of different lengths, their mean."""
        updates = sum(trial.steps for trial in trials) / max(1, len(trials))
        return cls(len(trials), updates, validations(task, math.ceil(updates), recipe.eval_every))


def validations(task: Task, steps: int, eval_every: int) -> int:
    """How often a trial of so many updates is validated: every so many (0: never on the way), and at the end."""
    if task.val is None:
        return 0
    return math.ceil(steps / eval_every) if eval_every else 1


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


@dataclass(frozen=True)
class StackSpeed:
    """Seconds of an uncompiled stack by its size: an update, a validation; `begin` of one trial. `threads` of torch."""

    updates: Mapping[int, float]
    validations: Mapping[int, float]
    begin: float
    threads: int

    def seconds(self, amount: Amount, size: int) -> float:
        """Seconds of all trials in stacks of a size, one stack after the other, the last one as small as it is."""
        full, rest = divmod(amount.trials, size)
        return full * self._one(amount, size) + (self._one(amount, rest) if rest else 0.0)

    def best_size(self, amount: Amount, largest: int) -> int:
        """The size that trains them soonest; none that is much beyond those measured."""
        most = min(amount.trials, largest, max(self.updates) * 2)
        sizes = {min(size, most) for size in self.updates} | {most, -(-amount.trials // -(-amount.trials // most))}
        return min(sorted(sizes), key=lambda size: self.seconds(amount, size))

    def update_of_trial(self, size: int) -> float:
        """Seconds of an update, a trial's share."""
        return _between(self.updates, size) / size

    @property
    def fastest(self) -> float:
        """Seconds of an update, a trial's share, in the stack where that is least."""
        return min(self.update_of_trial(size) for size in self.updates)

    def validation(self, size: int) -> float:
        """Seconds of a validation of a whole stack."""
        return _between(self.validations, size) if self.validations else 0.0

    def _one(self, amount: Amount, size: int) -> float:
        """Seconds of one stack from the first update to the last."""
        update = amount.updates * _between(self.updates, size)
        return size * self.begin + update + amount.validations * self.validation(size)

    def document(self) -> dict[str, Any]:
        """As it is remembered."""
        return {
            "updates": {str(size): seconds for size, seconds in self.updates.items()},
            "validations": {str(size): seconds for size, seconds in self.validations.items()},
            "begin": self.begin,
            "threads": self.threads,
        }

    @classmethod
    def parse(cls, known: Any) -> StackSpeed | None:
        """What is remembered, where it makes sense."""
        try:
            updates, checked = (
                {int(size): float(t) for size, t in known[name].items()} for name in ("updates", "validations")
            )
            begin, threads = float(known["begin"]), int(known["threads"])
        except (TypeError, KeyError, ValueError, AttributeError):
            return None
        good = all(size > 0 and 0 < t < math.inf for size, t in [*updates.items(), *checked.items()])
        return cls(updates, checked, begin, threads) if updates and good and threads > 0 and begin >= 0 else None


def _between(table: Mapping[int, float], size: int) -> float:
    """On straight lines between the sizes that were measured; in proportion beyond the last."""
    sizes = sorted(table)
    if size >= sizes[-1]:
        return table[sizes[-1]] * size / sizes[-1]
    if size <= sizes[0]:
        return table[sizes[0]]
    above = next(index for index, known in enumerate(sizes) if known >= size)
    low, high = sizes[above - 1], sizes[above]
    return table[low] + (table[high] - table[low]) * (size - low) / (high - low)


def loop_speed(task: Task, trial: Trial, recipe: Recipe) -> LoopSpeed:
    """Time one trial by itself, as the loop engine trains it. `task` is on the recipe's device."""
    short = replace(trial, steps=min(_TIMED, trial.steps))
    quiet = replace(recipe, eval_every=0, stop_on_divergence=False, plateau=None)
    began = clock.worked()
    training = Training(task, short, quiet)
    begin = clock.worked() - began
    with intra_threads(worthwhile_threads(task, training.model, recipe.device)):
        update = _updates(training, recipe.device)
        # What it learned does not matter, only that it is validated as after its last update.
        training.step = short.steps
        validation = _best(training.evaluate_if_due, recipe.device) if task.val is not None else 0.0
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


def stack_speed(
    task: Task, recipe: Recipe, update: Update, most: int, hopeless: float, known: StackSpeed | None = None
) -> StackSpeed:
    """Time stacks of growing size, up to `most` models, as long as a larger one is faster per trial.

    It ends early where even the largest stack would take more than `hopeless` seconds per trial and update. `known`:
    measured before, for smaller stacks; it is continued.
    """
    threads = torch.get_num_threads() if known is None else known.threads
    with intra_threads(threads):
        updates = dict(known.updates) if known is not None else {}
        _grow(updates, lambda size: _best(trial_update(update, task, recipe, size), recipe.device), most, hopeless)
        largest = max(updates)
        if known is None and threads > 1 and recipe.device.type == "cpu":
            with intra_threads(1):
                alone = _best(trial_update(update, task, recipe, largest), recipe.device)
            if updates[largest] > _THREADS_GAIN * alone:
                threads, updates = 1, {size: t * alone / updates[largest] for size, t in updates.items()}
    with intra_threads(threads):
        stack = Stack(update.skeleton, recipe, 1)
        begin = _best(lambda: stack.load(0, update.skeleton, 0), recipe.device)
        checked = dict(known.validations) if known is not None else {}
        for size in {min(updates), largest} - checked.keys() if task.val is not None else ():
            checked[size] = _validation(task, recipe, update, size)
    return StackSpeed(updates, checked, begin, threads)


def _grow(updates: dict[int, float], timed: Callable[[int], float], most: int, hopeless: float) -> None:
    """Time the next larger size, until that is no use."""
    while not updates or not grown(updates, most, hopeless):
        size = min([most, *(size for size in SIZES if size > max(updates, default=0))])
        updates[size] = max(1e-7, timed(size))


def grown(updates: Mapping[int, float], most: int, hopeless: float) -> bool:
    """Whether stacks that are larger than those timed would be of no use: no faster per trial, or never fast enough."""
    sizes = sorted(updates)
    if sizes[-1] >= min(most, SIZES[-1]):
        return True
    if len(sizes) < 2:
        return False
    before, last = (updates[size] for size in sizes[-2:])
    each_more = (last - before) / (sizes[-1] - sizes[-2])
    return each_more > hopeless or last / sizes[-1] > _GAIN * before / sizes[-2]


def size_for(trials: int) -> int:
    """The size, of those that are timed, up to which stacks of so many trials can be."""
    return next((size for size in SIZES if size >= trials), SIZES[-1])


def _validation(task: Task, recipe: Recipe, update: Update, size: int) -> float:
    """Seconds of a validation of a whole stack."""
    stack, validate = Stack(update.skeleton, recipe, size), Validation(task, update.skeleton, update.random)
    return max(1e-7, _best(lambda: validate(stack), recipe.device))


def _best(once: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the best of a few; where one takes long, of as few as that is worth."""
    best, spent = math.inf, 0.0
    for number in range(_MOST_CALLS):
        if number >= _LEAST_CALLS and spent > _CALLED:
            break
        seconds = clock.timed(once, device)
        spent += seconds
        best = min(best, seconds)
    return best
