"""What a range test trains within its budget, and whether there is room for more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from lrtool.analysis.search.probe_plan import LIMITS, PROBES, ProbePlan, probe_plan
from lrtool.config.settings import SHORTEST_PROBE
from lrtool.engine.cost.amount import Amount
from lrtool.engine.trials import Trace, Trial
from lrtool.experiments.budget import Budget
from lrtool.experiments.runner import TrialRunner
from lrtool.experiments.setup import Setup

#: The ramp may take this part of the budget; it has fewer seeds where all would take more, but one at least.
_RAMP = 1 / 5
#: Where one seed alone would take more than this part it has fewer updates, down to those that still show something.
_LONG, _SHORTEST_RAMP = 1 / 4, 40
#: Where the ramp took more of it, this part of the time is planned with.
_LEFT = 1 / 4
#: The line searches of the critical LR may take this part of it.
_CRITICAL = 1 / 20
#: Trainings of this part of the run's updates tell more than more LRs would.
_TELLING = 1 / 4


class Holds(Protocol):
    """Says whether a budget has room for so many trainings of so many updates."""

    def __call__(self, trials: int, steps: int, /) -> bool:
        """Whether it has."""
        ...


def unlimited(trials: int, steps: int, /) -> bool:
    """There is room for anything."""
    return True


class Spending:
    """The trainings of one range test: the ramp's, probes, and those at constant LRs, counted against a budget."""

    def __init__(self, setup: Setup, runner: TrialRunner, budget: Budget) -> None:
        self._setup, self._runner, self.budget = setup, runner, budget
        self._recipe = replace(setup.recipe, plateau=None)
        self._unvalidated = replace(setup.task, val=None)
        budget.begin()
        self._checks = 1 if setup.task.val is not None else 0

    def ramp_size(self, alone: bool) -> tuple[int, int]:
        """Seeds and updates of the ramp: the config's, or fewer where the budget would mainly be spent on them.

        `alone`: nothing comes after it, so all of the updates are worth it.
        """
        settings, budget = self._setup.config.range_test, self.budget
        steps = settings.steps
        while not alone and steps > _SHORTEST_RAMP and budget.part(steps, 0) > _LONG * budget.runs + 1e-9:
            steps = max(_SHORTEST_RAMP, round(steps * 2**-0.5))
        return min(settings.seeds, max(1, int(_RAMP * budget.runs / budget.part(steps, 0)))), steps

    @property
    def critical(self) -> float:
        """What the line searches of the critical LR may cost, in updates."""
        return _CRITICAL * self.budget.runs * self._setup.steps

    def announced(self, ramp_alone: bool) -> tuple[str, int]:
        """What it will cost, in words, and about how many updates it has: before anything was trained."""
        settings, budget = self._setup.config.range_test, self.budget
        ramp = math.prod(self.ramp_size(ramp_alone))
        runs = budget.part(ramp, 0)
        if ramp_alone:
            return f"{ramp:,} updates ({runs:.2g} training runs), about {_seconds(runs * budget.one)} s", ramp
        most = max(budget.runs, runs)
        everything = min(most, self.everything(min(3, settings.seeds)))
        updates = round(everything * self._setup.steps)
        return (
            f"the ramp has {ramp:,} updates, and gives a first answer; with short trainings it is up to"
            f" {updates:,} updates one by one ({everything:.2g} training runs; more of them where they are trained side"
            f" by side), in about {_seconds(runs * budget.one)} to {_seconds(everything * budget.one)} s"
        ), updates

    def spent(self, trials: int) -> dict[str, Any]:
        """What was spent so far, for `summary.json`."""
        budget = self.budget
        return {
            "runs": round(budget.spent_runs, 3),
            "seconds": round(budget.spent_seconds, 3),
            "trials": trials,
            "seconds_of_one_run": budget.one,
            "budget_runs": budget.runs,
            "planned_runs": budget.limit,
            "trained_runs": round(budget.trained, 3),
        }

    def plan(self, seeds: int) -> ProbePlan | None:
        """What of the short trainings the rest of the budget holds, in the time that is left of it; None: nothing."""
        budget, already = self.budget, self.budget.trained

        def calls(limit: float) -> list[Amount]:
            return self._calls(self._plan(limit - already, seeds), limit - already)

        # The same every time: not what the ramp took, but what it was to take.
        budget.scaled(calls, max(_LEFT, 1 - already / budget.runs))
        return self._plan(budget.left, seeds)

    def everything(self, seeds: int) -> float:
        """The budget, in runs, that holds the ramp and all short trainings, one by one."""
        settings, longest = self._setup.config.range_test, self._longest
        ramp = settings.seeds * self.budget.part(settings.steps, 0)
        return max(ramp / _RAMP, ramp + seeds * (PROBES + LIMITS) * self.budget.part(longest, self._checks))

    def probes(self, trials: Sequence[Trial]) -> list[Trace]:
        """Train trials, validated at their ends."""
        return self._runner.run(trials, self._setup.task, self._recipe)

    def constants(self, trials: Sequence[Trial]) -> list[Trace]:
        """Train trials that are not validated."""
        return self._runner.run(trials, self._unvalidated, self._recipe)

    def holds(self, trials: int, steps: int, /) -> bool:
        """Whether there is room for so many validated trials."""
        return self._room(trials, steps, self._checks)

    def holds_constant(self, trials: int, steps: int, /) -> bool:
        """Whether there is room for so many trials that are not validated."""
        return self._room(trials, steps, 0)

    def ahead(self, plan: ProbePlan | None) -> int:
        """About how many updates a plan comes to."""
        return round(sum(call.trials * call.updates for call in self._calls(plan, self.budget.left)))

    def _room(self, trials: int, steps: int, checks: int) -> bool:
        wanted = trials * self.budget.part(steps, checks)
        return wanted <= self.budget.left + 1e-9 and self.budget.allows([Amount(trials, steps, checks)]) == 1.0

    @property
    def _longest(self) -> int:
        return min(self._setup.config.range_test.probe_steps, self._setup.steps)

    def _plan(self, left: float, seeds: int) -> ProbePlan | None:
        longest = self._longest
        if not longest:
            return None
        telling = round(_TELLING * self._setup.steps)
        return probe_plan(left, self._cost, longest, min(SHORTEST_PROBE, longest), seeds, telling)

    def _cost(self, steps: int) -> float:
        return self.budget.part(steps, self._checks)

    def _calls(self, plan: ProbePlan | None, left: float) -> list[Amount]:
        """What the engine is asked for if the plan goes as most do."""
        if plan is None:
            return []
        if plan.whole:
            limit = [Amount(trials * plan.seeds, plan.steps, 0) for trials in (LIMITS - 3, 3)]
            first = (plan.lrs * plan.seeds, (PROBES - plan.lrs) * plan.seeds)
            return limit + [Amount(trials, plan.steps, self._checks) for trials in first]
        fits = int(left / self._cost(plan.steps) + 1e-9)
        most = min(fits, PROBES + 10 + LIMITS)
        parts = [min(plan.lrs, most), min(4, most - plan.lrs), max(0, most - plan.lrs - 4)]
        return [Amount(trials, plan.steps, self._checks) for trials in parts if trials > 0]


def _seconds(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"
