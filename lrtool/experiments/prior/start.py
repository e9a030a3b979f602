"""Where a search of the best peak LR begins: what bounds it, and what foretells it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from lrtool.analysis.range_test_result import LrEstimate, RangeTestResult
from lrtool.analysis.search.transfer.usual import BOUND, DURATION, usual
from lrtool.config.schema import Config
from lrtool.errors import UsageError
from lrtool.experiments.prior.critical import remembered_critical_lr
from lrtool.experiments.resuming.search_memory import SearchMemory
from lrtool.experiments.setup import Setup
from lrtool.schedules import Curve, Schedule
from lrtool.theory.bound import last_iterate_bound

#: The best peak LR was never above 1.2 times the critical one (86 cases, tests/benchmarks/critical_lr.py). The first
#: grid is trained for an eighth of the run, for which it is about twice as large (8^0.3), and must show the rise.
_HIGHEST = 4.0
#: The part of a budget that the line searches of the critical LR may take.
_CRITICAL = 1 / 20
#: Sections of a config between which the bound tells how best LRs compare.
_COMPARED = ("schedule", "train")
#: The part of a run that a shorter one is compared with it by; and updates that show the shape of longer schedules.
_SHORTER, _LONG = 1 / 16, 100_000


def centre(ramp: RangeTestResult, configured: float) -> float:
    """Where the first grid lies: the ramp's reading, or the config's own LR where it shows nothing."""
    if ramp.suggestion is not None:
        return ramp.suggestion.value
    if ramp.stability is not None and np.isfinite(ramp.stability.value):
        return ramp.stability.value / 8
    return configured


def critical_estimate(setup: Setup, memory: SearchMemory, runs: float) -> LrEstimate | None:
    """The critical LR, measured for a small part of so many training runs."""
    found = remembered_critical_lr(setup, memory, _CRITICAL * runs * setup.steps)
    return found.estimate if found is not None else None


def bracket(middle: float, critical: LrEstimate | None) -> tuple[float, float | None]:
    """The middle of the first grid, and the LR above which it has none (None: nothing bounds it).

    Only where the middle lies above the critical LR, as the best one does not: the grid then lies around that. Where it
    lies below, LRs far above the best are worth their trials: they show where the loss rises.
    """
    if critical is None or middle <= critical.value:
        return middle, None
    return critical.value, _HIGHEST * critical.value


def foretold(best: float, name: str, setup: Setup, schedules: Mapping[str, Schedule]) -> dict[str, float]:
    """The best peak LRs that the bound foretells for other schedules than the one (`name`) whose best is known.

    best · γ*/γ*(name), where γ* is the peak LR of least bound (`last_iterate_bound`) under each
    """
    lrs = {each: bound_lr(setup.trial(0, 1.0, schedule=schedule).curves["lr"]) for each, schedule in schedules.items()}
    return {each: best * lr / lrs[name] for each, lr in lrs.items() if each != name}


def foretold_by(tuned: Sequence[tuple[Config, float]], config: Config, setup: Setup) -> float | None:
    """The best peak LR that the bound foretells from that of another config; None where none is comparable.

    `tuned`: configs with their best LRs; `setup`: what `config` comes to. Comparable is one that differs in its
    schedule or length alone.
    """
    for other, best in reversed(tuned):
        if _rest(other) == _rest(config):
            ours, theirs = (bound_lr(each.trial(0, 1.0).curves["lr"]) for each in (setup, setup.under(other)))
            return best * ours / theirs
    return None


def bound_lr(curve: Curve) -> float:
    """γ*: the peak LR at which a curve's bound is least, for gradients of norm 1 and a distance of 1."""
    return last_iterate_bound(curve.table() / curve.peak).gamma


def bound_exponent(setup: Setup, schedule: Schedule | None = None) -> float:
    """The exponent over the duration of the best peak LR by the bound, between runs a 16th as long and the whole one.

    log(γ*/γ*(short))/log(T/t); about −½; a `schedule` may take the place of the config's.
    """
    steps = min(setup.steps, _LONG)
    short = max(1, round(steps * _SHORTER))
    lengths = (short, steps)
    if short == steps:
        return BOUND
    try:
        part, whole = (bound_lr(setup.trial(0, 1.0, schedule=schedule, steps=each).curves["lr"]) for each in lengths)
    except UsageError:
        return BOUND  # few updates may all have an LR of 0
    return math.log(whole / part) / math.log(steps / short)


def expected_exponent(setup: Setup, schedule: Schedule) -> float:
    """The exponent over the duration that is expected of the best peak LR under a schedule: half of the bound's."""
    return usual((DURATION,), bound=bound_exponent(setup, schedule))[DURATION][0]


def _rest(config: Config) -> dict[str, object]:
    """What a config says but for its schedule, its length, and what changes no training."""
    said = config.model_dump(mode="json", exclude={"name", "logging", "range_test", *_COMPARED})
    said["optimizer"].pop("lr")
    train = config.train.model_dump(mode="json", exclude={"duration", "eval_every", "checkpoint_every", "best"})
    return {**said, "train": train}
