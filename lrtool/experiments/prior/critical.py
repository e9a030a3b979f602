"""The critical LR of a config: line searches along the first updates of its trainings."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict
from itertools import takewhile
from typing import Any

import numpy as np

from lrtool.analysis.search.critical_lr import CriticalLook, CriticalLr, warm_lr
from lrtool.engine.loop.critical import critical_looks
from lrtool.engine.parallel.joining import current
from lrtool.engine.trials import Trial
from lrtool.experiments.resuming.search_memory import SearchMemory
from lrtool.experiments.setup import Setup
from lrtool.schedules import Curve

_LOG = logging.getLogger("lrtool")

#: Seeds, and the updates of each at which it is looked, where there is room for all.
SEEDS, AT = 3, (0, 16, 24, 32)
#: The LR between looks, as a part of the critical one at the first update, which is the plain gradient's: momentum of
#: 0.9 goes ten times as far.
_WARM = 0.1
#: What the forward passes of a search come to, in updates.
_SEARCH = 3.0


def critical_lr(setup: Setup, room: float = math.inf) -> CriticalLr | None:
    """The critical LR at the first update of each seed, and at later ones of a training at a small LR.

    `room`: what it may cost, in updates; where that holds less, fewer later updates and fewer seeds are looked at, but
    at least one. None where no process holds a whole model, or no copy of it fits beside it.
    """
    if not current().holds_whole(setup.recipe.device):
        return None
    seeds, at = _size(room, setup.config.range_test.seeds)
    try:
        return CriticalLr(*_looked(setup, seeds, at))
    except Exception as error:
        # What fails here, and not in training, is this measurement.
        _LOG.info("no critical LR: %s", error)
        return None


def remembered_critical_lr(setup: Setup, memory: SearchMemory, room: float) -> CriticalLr | None:
    """The same, measured once: a search that goes on goes on with what it began with."""

    def measured() -> dict[str, Any]:
        found = critical_lr(setup, room)
        return {} if found is None else asdict(found)

    plain = memory.decide("critical", measured)
    if not plain:
        return None
    return CriticalLr(tuple(CriticalLook(**look) for look in plain["looks"]), plain["updates"])


def _size(room: float, seeds: int) -> tuple[int, tuple[int, ...]]:
    """Seeds, and updates to look at, that cost no more than so many updates; one of each at least.

    Later updates tell more than further seeds.
    """

    def cost(number: int) -> float:
        return AT[number] + 1 + _SEARCH * (number + 1)

    at = AT[: max(1, sum(1 for _ in takewhile(lambda n: cost(n) <= room, range(len(AT)))))]
    return max(1, min(SEEDS, seeds, int(min(room, 1e9) / cost(len(at) - 1)))), at


def _looked(setup: Setup, seeds: int, at: tuple[int, ...]) -> tuple[tuple[CriticalLook, ...], int]:
    """All looks, and the updates that were trained for them."""
    numbers, start = range(setup.config.seed, setup.config.seed + seeds), None
    first: list[CriticalLook] = []
    for seed in numbers:
        # The first update is as long as the LR says, and begun again later: how long it should be is not known yet.
        first += critical_looks(
            setup.task, _constant(setup, setup.config.optimizer.lr, seed, 1), setup.recipe, (0,), start
        )
        start = first[-1].lr
    warm, later = warm_lr(first, _WARM), at[1:]
    if warm is None or not later:
        return tuple(first), len(first)
    trial = [_constant(setup, warm, seed, later[-1] + 1) for seed in numbers]
    more = [look for each in trial for look in critical_looks(setup.task, each, setup.recipe, later, start)]
    return (*first, *more), seeds * (later[-1] + 2)


def _constant(setup: Setup, lr: float, seed: int, steps: int) -> Trial:
    return setup.following({"lr": Curve(lambda t: np.full(t.shape, lr), steps, lr)}, seed, f"constant {lr:.3g}")
