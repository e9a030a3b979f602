"""Measured speeds of uncompiled stacks on this machine, by their size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lrtool.engine import clock
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.in_part import validated_in_part
from lrtool.engine.cost.watching import watching
from lrtool.engine.device import intra_threads
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.compiling import usual_update
from lrtool.engine.vector.replaying import replays
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import Update
from lrtool.engine.vector.validation import Validation
from lrtool.tasks.base import Task
from lrtool.tasks.failures import ran_out_of_memory

#: Sizes of an uncompiled stack that are tried, each only if the one before was worth it, by kind of device. A GPU takes
#: as long for a few models as for one, and each size is recorded before it is timed.
_SIZES = {"cpu": (1, 2, 8, 32, 128, 512)}
_SIZES_ELSEWHERE = (16, 512)
#: A larger stack must be faster per trial by this much.
_GAIN = 0.9
#: What one more trial adds to an update tells how fast the largest stack may be, where it is this part of a trial's
#: share at least: of less, noise says more than the model.
_TELLS = 0.3
#: All threads must beat one by this much: they wait for each other, and the more the busier the machine is.
_THREADS_GAIN = 0.85
#: Seconds before a recorded stack's first update over those that it takes to trace and record one: it is compared with
#: the plain update first, and recorded for that as well.
_READY = 2.0
#: Updates that are done meanwhile, which take long in large stacks; the smallest rest is without loading libraries.
_UPDATES = 5
#: Seconds from which a large stack's validation, in proportion to a small one's, is timed only once.
_DEAR = 0.4


@dataclass(frozen=True)
class StackSpeed:
    """Seconds of an uncompiled stack by its size: an update, a validation; `begin` of one trial. `threads` of torch.

    `watch`: of a trial's update, to keep its loss and see whether it diverges, which is done for one after the other.
    `ready`: before a call's first update, where updates are recorded.
    """

    updates: Mapping[int, float]
    validations: Mapping[int, float]
    begin: float
    threads: int
    watch: float = 0.0
    ready: float = 0.0

    def seconds(self, amount: Amount, size: int) -> float:
        """Seconds of all trials in stacks of a size, one stack after the other, the last one as small as it is."""
        full, rest = divmod(amount.trials, size)
        return self.ready + full * self._one(amount, size) + (self._one(amount, rest) if rest else 0.0)

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
        update = amount.updates * (_between(self.updates, size) + size * self.watch)
        return size * self.begin + update + amount.validations * self.validation(size)

    def document(self) -> dict[str, Any]:
        """As it is remembered."""
        return {
            "updates": {str(size): seconds for size, seconds in self.updates.items()},
            "validations": {str(size): seconds for size, seconds in self.validations.items()},
            "begin": self.begin,
            "threads": self.threads,
            "watch": self.watch,
            "ready": self.ready,
        }

    @classmethod
    def parse(cls, known: Any) -> StackSpeed | None:
        """What is remembered, where it makes sense."""
        try:
            updates, checked = (
                {int(size): float(t) for size, t in known[name].items()} for name in ("updates", "validations")
            )
            threads, begin, watch = int(known["threads"]), float(known["begin"]), float(known["watch"])
            ready = float(known["ready"])
        except (TypeError, KeyError, ValueError, AttributeError):
            return None
        good = all(size > 0 and 0 < t < math.inf for size, t in [*updates.items(), *checked.items()])
        good &= bool(updates) and threads > 0 and begin >= 0 and 0 <= watch < math.inf and 0 <= ready < math.inf
        return cls(updates, checked, begin, threads, watch, ready) if good else None


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


def stack_speed(
    task: Task, recipe: Recipe, update: Update, most: int, hopeless: float, known: StackSpeed | None = None
) -> StackSpeed:
    """Time stacks of growing size, up to `most` models, as long as a larger one is faster per trial.

    It ends early where even the largest stack would take more than `hopeless` seconds per trial and update. `known`:
    measured before, for smaller stacks; it is continued.
    """
    threads = torch.get_num_threads() if known is None else known.threads
    readies = [known.ready] if known is not None else []

    def timed(size: int) -> float:
        made: list[Callable[[], None]] = []
        setting_up = clock.timed(lambda: made.append(usual_update(update, task, recipe, size)), recipe.device)
        once = clock.best_time(made[0], recipe.device)
        readies.append(_READY * max(0.0, setting_up - _UPDATES * once) if replays(recipe.device) else 0.0)
        return once

    with intra_threads(threads):
        updates = dict(known.updates) if known is not None else {}
        _grow(updates, timed, most, hopeless, sizes_tried(recipe.device))
        largest = max(updates)
        lost = _is_hopeless(updates, hopeless)
        if known is None and threads > 1 and recipe.device.type == "cpu":
            with intra_threads(1):
                alone = clock.best_time(usual_update(update, task, recipe, largest), recipe.device)
            if updates[largest] > _THREADS_GAIN * alone:
                threads, updates = 1, {size: t * alone / updates[largest] for size, t in updates.items()}
    with intra_threads(threads):
        stack = Stack(update.skeleton, recipe, 1)
        begin = clock.best_time(lambda: stack.load(0, update.skeleton, 0), recipe.device)
        checked = dict(known.validations) if known is not None else {}
        # Where the updates alone take too long, it does not matter how much longer all takes.
        sizes = {min(updates)} if lost else {min(updates), largest}
        part, times = validated_in_part(task)
        for size in sorted(sizes - checked.keys()) if task.val is not None else ():
            once = lost or (bool(checked) and _between(checked, size) > times * _DEAR)
            checked[size] = times * _validation(part, recipe, update, size, once)
    watch = known.watch if known is not None else watching(recipe)
    return StackSpeed(updates, checked, begin, threads, watch, min(readies))


def _grow(
    updates: dict[int, float], timed: Callable[[int], float], most: int, hopeless: float, sizes: Sequence[int]
) -> None:
    """Time the next larger size, until that is no use, or there is no memory for it."""
    while not updates or not grown(updates, most, hopeless, sizes):
        size = min([most, *(size for size in sizes if size > max(updates, default=0))])
        try:
            updates[size] = max(1e-7, timed(size))
        except Exception as error:
            if not updates or not ran_out_of_memory(error):
                raise
            break


def grown(updates: Mapping[int, float], most: int, hopeless: float, sizes: Sequence[int]) -> bool:
    """Whether stacks that are larger than those timed would be of no use: no faster per trial, or never fast enough."""
    timed = sorted(updates)
    if timed[-1] >= min(most, sizes[-1]) or _is_hopeless(updates, hopeless):
        return True
    if len(timed) < 2:
        return False
    before, last = (updates[size] / size for size in timed[-2:])
    return last > _GAIN * before


def _is_hopeless(updates: Mapping[int, float], hopeless: float) -> bool:
    """Whether each further trial makes an update longer by more than `hopeless` seconds."""
    if len(updates) < 2:
        return False
    low, high = sorted(updates)[-2:]
    each_more = (updates[high] - updates[low]) / (high - low)
    return each_more > max(hopeless, _TELLS * updates[low] / low)


def sizes_tried(device: torch.device) -> Sequence[int]:
    """The sizes of stacks that are timed on a device."""
    return _SIZES.get(device.type, _SIZES_ELSEWHERE)


def size_for(trials: int, sizes: Sequence[int]) -> int:
    """The size, of those that are timed, up to which stacks of so many trials can be."""
    return next((size for size in sizes if size >= trials), sizes[-1])


def _validation(task: Task, recipe: Recipe, update: Update, size: int, once: bool = False) -> float:
    """Seconds of a validation of a whole stack, by one call or the best of a few."""
    stack, validate = Stack(update.skeleton, recipe, size), Validation(task, update.skeleton, update.random)
    timed = clock.timed if once else clock.best_time
    return max(1e-7, timed(lambda: validate(stack), recipe.device))
