"""The result of `tune`, as data and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from lrtool.analysis.lr_fit import Response
from lrtool.analysis.range_test_result import RangeTestResult
from lrtool.analysis.search.best_lr import Search
from lrtool.analysis.statistics.comparison import Difference, difference
from lrtool.report.plots.marks import between
from lrtool.report.plots.style import number
from lrtool.report.plots.tune import TunedCurve, TunePlot
from lrtool.schedules import Schedule

#: Validation samples below which their choice matters more than the seeds', which is all that trials show.
_FEW_SAMPLES = 50


class Warning_(Enum):  # noqa: N801  # `Warning` is Python's own
    """Things to know about a result of `tune`; the value is the message."""

    CUT = "trials took longer than was expected: some were left out to stay within the budget"
    SHORT = "the budget holds no training of full length; the LR was measured on shorter ones"
    EDGE = "the best LR lies at the end of those that could be tried; more budget would look further"
    ALIKE = "no LR of this range can be told from the best with these trials; more seeds or validation data would"
    LOST_SEEDS = (
        "at least one seed diverged at every LR; what is said of LRs and losses holds for the others,"
        " and a training may diverge at the LR named, too"
    )
    FEW_SAMPLES = (
        "the validation set is very small: the interval is for these samples, and others may prefer another LR;"
        " raise data.val_fraction"
    )


@dataclass(frozen=True)
class Tuned:
    """One schedule at its own best LR: the fit of its last rung and all that was measured."""

    name: str
    schedule: Schedule
    search: Search
    response: Response
    fraction: float

    @property
    def by_seed(self) -> Mapping[int, float]:
        """Each seed's loss at the best LR, on a straight line in log LR between those tried beside it."""
        lrs, losses = self.search.table()
        assert self.response.lr is not None
        at = np.log(self.response.lr)
        # A seed that diverged beside the best LR has no loss there.
        return {seed: float(np.interp(at, np.log(lrs), column)) for seed, column in enumerate(losses.T)}

    @property
    def expected(self) -> float:
        """The expected loss at the best LR; infinite where there is none."""
        return self.response.expected if self.response.expected is not None else float("inf")


def warnings_of(best: Tuned, cut: bool, val_samples: int) -> tuple[Warning_, ...]:
    """What to know about the best schedule's result; `cut`: whether trials were left out to stay within the budget."""
    response = best.response
    warnings = [Warning_.CUT] if cut else []
    if response.lr is None:
        return tuple(warnings)
    if best.fraction < 1:
        warnings.append(Warning_.SHORT)
    if response.edge is not None:
        warnings.append(Warning_.EDGE)
    lrs, _ = best.search.table()
    low, high = response.within_noise or (lrs[0], lrs[0])
    if response.edge is None and high / low > 0.9 * lrs[-1] / lrs[0]:
        warnings.append(Warning_.ALIKE)
    if response.lost_seeds:
        warnings.append(Warning_.LOST_SEEDS)
    if 0 < val_samples < _FEW_SAMPLES:
        warnings.append(Warning_.FEW_SAMPLES)
    return tuple(warnings)


@dataclass(frozen=True)
class TuneResult:
    """What `tune` found: schedules from best to worst, what it cost, and the range test it began with.

    `runs`: the training runs, validation and all, that could have been made one by one in its place; `one`: seconds of
    such a run; `seconds`: what it really took; `announced`: what was expected of that before it began, from and to;
    `planned`: what its trials might come to, in updates and validations as runs; `trained`: what they came to.
    """

    ranking: tuple[Tuned, ...]
    range_test: RangeTestResult
    runs: float
    seconds: float
    trials: int
    warnings: tuple[Warning_, ...]
    one: float
    announced: tuple[float, float]
    planned: float
    trained: float

    @property
    def best(self) -> Tuned:
        """The schedule with the least expected loss."""
        return self.ranking[0]

    def behind(self, other: Tuned) -> Difference | None:
        """By how much another schedule is behind the best, each at its own best LR, over the seeds they share.

        None for the best itself, and where either has no best LR.
        """
        if other is self.best or other.response.lr is None or self.best.response.lr is None:
            return None
        return difference(other.name, other.by_seed, self.best.name, self.best.by_seed)


def summarise(result: TuneResult) -> dict[str, Any]:
    """The entries of `summary.json`."""
    best = result.best.response
    return {
        "suggested_lr": best.lr,
        "interval": best.interval and list(best.interval),
        "lower_lr": best.within_noise and best.within_noise[0],
        "upper_lr": best.within_noise and best.within_noise[1],
        "critical_lr": result.range_test.critical and result.range_test.critical.value,
        "expected_loss": best.expected,
        "suggested_schedule": result.best.schedule.model_dump(mode="json"),
        "schedules": [
            {
                "name": each.name,
                "suggested_lr": each.response.lr,
                "interval": each.response.interval and list(each.response.interval),
                "expected_loss": each.response.expected,
                "reason": each.response.reason and each.response.reason.value,
                **_told(result.behind(each)),
            }
            for each in result.ranking
        ],
        "cost": {
            "runs": round(result.runs, 3),
            "seconds": round(result.seconds, 3),
            "trials": result.trials,
            "seconds_of_one_run": result.one,
            "planned_runs": result.planned,
            "trained_runs": round(result.trained, 3),
            "announced_seconds": list(result.announced),
        },
        "warnings": [warning.value for warning in result.warnings],
        "methods": result.range_test.summary()["methods"],
    }


def _told(behind: Difference | None) -> dict[str, Any]:
    if behind is None:
        return {}
    interval = behind.estimate.interval
    return {
        "worse_by": behind.estimate.mean,
        "worse_by_interval": interval and list(interval),
        "told_apart": behind.significant,
    }


def said_of(behind: Difference) -> str:
    """A schedule against the best, as a clause."""
    count, interval = behind.estimate.count, behind.estimate.interval
    if behind.significant and interval is not None:
        return f"worse by {number(behind.estimate.mean)} ({number(interval[0])} … {number(interval[1])}), {count} seeds"
    return f"cannot be told from the best with {count} seed{'s' * (count != 1)}"


def no_answer(result: TuneResult) -> str:
    """Why there is no LR; empty where there is one."""
    reason = result.best.response.reason
    return reason.value if reason is not None else ""


def answer(result: TuneResult) -> str:
    """The result in one sentence."""
    best = result.best.response
    if best.lr is None or best.interval is None or best.expected is None:
        return f"no LR can be named: {no_answer(result)}"
    return (
        f"best peak LR {number(best.lr)} (95% interval {between(best.interval)})"
        f" under {result.best.name}, expected loss {number(best.expected)}"
    )


def plot_of(result: TuneResult, name: str) -> TunePlot:
    """Every trial of each schedule's last rung, with its fit."""
    curves = []
    for each in result.ranking:
        lrs, losses = each.search.table()
        response = each.response
        curves.append(
            TunedCurve(
                each.name,
                np.repeat(lrs, losses.shape[1]),
                losses.reshape(-1),
                response.grid,
                response.fit,
                response.lr,
                response.interval,
                response.within_noise,
            )
        )
    peers = {kind: said.lr for kind, said in result.range_test.methods.items() if said.lr is not None}
    return TunePlot(f"{name}: final loss against peak LR", answer(result), curves, peers)
