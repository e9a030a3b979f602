"""What short trainings make of a ramp's answer, as far as a budget goes: the suggestion and the stability limit."""

from __future__ import annotations

from dataclasses import replace

from lrtool.analysis.range_test_result import Caveat, LrEstimate, RangeTestResult, Reason
from lrtool.analysis.search.probe_plan import ProbePlan
from lrtool.analysis.search.short_runs import centre, inferred_limit
from lrtool.config.settings import SHORTEST_PROBE
from lrtool.experiments.range_test.limit import with_limit
from lrtool.experiments.range_test.probes import probed
from lrtool.experiments.range_test.spending import Spending
from lrtool.experiments.setup import Setup

_NO_PROBES = "the short trainings that would check the ramp"
_NO_LIMIT = "trainings at constant LRs, which show up to where training does not blow up"


def measured(setup: Setup, ramp: RangeTestResult, plan: ProbePlan | None, spending: Spending) -> RangeTestResult:
    """The range test with what short trainings show; `plan`: those that the budget holds, None for none.

    With a whole plan the stability limit is measured first, and probes lie around it. If not, the probes come first,
    around the ramp's own limit, and the limit is measured with what is left, or inferred from probes that blew up.
    """
    if plan is None:
        return _few_updates(setup, replace(ramp, left_out=(*ramp.left_out, _NO_PROBES)), measured=False)
    if ramp.chosen:
        return _limited(setup, ramp, plan, spending)
    limited = _limited(setup, ramp, plan, spending) if plan.whole else ramp
    middle = centre(limited, setup.config.optimizer.lr, plan.lrs)
    found = probed(setup, plan, middle, spending.probes, spending.holds)
    if not plan.whole:
        limited = _limited(setup, ramp, plan, spending)
        if limited.stability is ramp.stability:
            limited = inferred_limit(limited, found.readings[0])
        limited = _keeping(limited, ramp.suggestion)
    result = found.read(_shorter(setup, limited, plan))
    return _few_updates(setup, result, measured=result.source != ramp.source)


def _limited(setup: Setup, ramp: RangeTestResult, plan: ProbePlan, spending: Spending) -> RangeTestResult:
    limited = with_limit(setup, ramp, plan.steps, spending.constants, spending.holds_constant)
    if limited is ramp and ramp.reason not in (Reason.FLAT, Reason.TOO_SHORT):
        return replace(ramp, left_out=(*ramp.left_out, _NO_LIMIT))
    return limited


def _keeping(limited: RangeTestResult, own: LrEstimate | None) -> RangeTestResult:
    """With the ramp's own suggestion, unless it lies above the limit: one seen in a few trainings is no surer."""
    limit = limited.stability
    if own is None or limited.suggestion is None or (limit is not None and own.value > limit.value):
        return limited
    return replace(limited, suggestion=own)


def _shorter(setup: Setup, result: RangeTestResult, plan: ProbePlan) -> RangeTestResult:
    """What is left out where the plan's trainings are not as long, or not as many, as the range test would have."""
    longest = min(setup.config.range_test.probe_steps, setup.steps)
    said = [f"longer short trainings ({plan.steps} instead of {longest} updates)"] if plan.steps < longest else []
    return replace(result, left_out=(*result.left_out, *said))


def _few_updates(setup: Setup, result: RangeTestResult, measured: bool) -> RangeTestResult:
    """The result with what to know where the training has fewer updates than any answer needs; none if not measured."""
    if setup.steps >= SHORTEST_PROBE or result.suggestion is None:
        return result
    return result.noting(Caveat.FEW_UPDATES) if measured else result.unanswered(Reason.FEW_UPDATES)
