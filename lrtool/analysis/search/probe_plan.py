"""The plan of a range test's short trainings: how many, and how long each is, so that a budget holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lrtool.analysis.search.short_runs import LRS

#: Trainings of each seed: on the first grid and in its gaps; and those that bracket the stability limit.
PROBES, LIMITS = LRS + 4, 10
#: Trainings of one seed that a budget is to hold, the LRs of the first grid, and the part of the telling updates that
#: each is to have: many LRs where each training is long enough to tell, fewer where they would be too short for that.
_SIZES = ((12, LRS, 1.0), (8, 5, 1.0), (5, 5, 0.5), (4, 3, 0.5), (3, 3, 0.0))
#: Of so few nothing can be said.
LEAST = 3
#: How much shorter they are made at a time: lengths that a little more or less of a budget does not change.
_SHORTER = 2**-0.5


@dataclass(frozen=True)
class ProbePlan:
    """Short trainings of `steps` updates on `lrs` LRs, at first with `seeds` seeds each.

    `whole`: everything is measured with all of its seeds, the stability limit first. If not, one LR after the other is
    tried with one seed, then further seeds where they tell most, and the limit with what is left.
    """

    steps: int
    lrs: int
    seeds: int
    whole: bool


def probe_plan(
    left: float, cost: Callable[[int], float], longest: int, shortest: int, seeds: int, telling: int = 0
) -> ProbePlan | None:
    """What so much of a budget holds; None where it holds too few trainings to say anything.

    `left`: of the budget, in training runs; `cost`: what a training of so many updates costs, in the same. `longest`,
    `shortest`: updates of a training at most and at least; `seeds`: at most. `telling`: the updates from which more
    LRs tell more than longer trainings do: where there is no room for so many of them, there are fewer.
    """
    if left >= seeds * (PROBES + LIMITS) * cost(longest):
        return ProbePlan(longest, LRS, seeds, whole=True)
    for trials, lrs, part in _SIZES:
        steps = _longest(left / trials, cost, longest, shortest)
        if steps is not None and steps >= part * min(telling, longest):
            return ProbePlan(steps, lrs, 1, whole=False)
    return None


def _longest(each: float, cost: Callable[[int], float], longest: int, shortest: int) -> int | None:
    """Updates of the longest training that costs no more than so much; None where the shortest costs more."""
    steps = longest
    while steps > shortest and each < cost(steps) - 1e-9:
        steps = max(shortest, round(steps * _SHORTER))
    return steps if each >= cost(steps) - 1e-9 else None
