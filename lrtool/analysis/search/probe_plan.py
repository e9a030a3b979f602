"""The plan of a range test's short trainings: how many, and how long each is, so that a budget holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lrtool.analysis.search.short_runs import LRS

#: Trainings of each seed: on the first grid and in its gaps; and those that bracket the stability limit.
PROBES, LIMITS = LRS + 4, 10
#: Of one seed, so many show where the best LR lies; where the budget holds fewer they are made shorter.
_ENOUGH = 12
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


def probe_plan(left: float, cost: Callable[[int], float], longest: int, shortest: int, seeds: int) -> ProbePlan | None:
    """What so much of a budget holds; None where it holds too few trainings to say anything.

    `left`: of the budget, in training runs; `cost`: what a training of so many updates costs, in the same. `longest`,
    `shortest`: updates of a training at most and at least; `seeds`: at most.
    """
    if left >= seeds * (PROBES + LIMITS) * cost(longest):
        return ProbePlan(longest, LRS, seeds, whole=True)
    steps = longest
    while steps > shortest and left < _ENOUGH * cost(steps):
        steps = max(shortest, round(steps * _SHORTER))
    fits = int(left / cost(steps) + 1e-9)
    if fits < LEAST:
        return None
    lrs = LRS if fits >= _ENOUGH else 5 if fits >= 2 * LEAST + 2 else LEAST
    return ProbePlan(steps, lrs, 1, whole=False)
