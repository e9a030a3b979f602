"""Probes: short trainings at LRs around a range test's suggestion, which measure it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.flatness import are_the_same
from lrtool.analysis.range_test_result import Probe, RangeTestResult, Reason
from lrtool.analysis.search.best_lr import Rung, Search
from lrtool.analysis.search.probe_plan import ProbePlan
from lrtool.analysis.search.short_runs import RATIO, Probes, completed, with_probes
from lrtool.engine.trials import Trace, Trial
from lrtool.experiments.final import final_loss
from lrtool.experiments.range_test.spending import Holds, unlimited
from lrtool.experiments.setup import Setup

Array = NDArray[np.float64]
_Run = Callable[[Sequence[Trial]], list[Trace]]

#: Seeds of each probe; what they cost is better spent on longer probes than on more of them.
SEEDS = 3
#: Probes are made longer, where nothing was learned, up to this many times.
LONGEST = 4
#: LRs of longer probes, this factor apart.
_LONGER_LRS, _LONGER_RATIO = 5, 2.0
#: LRs on either side of the best one that further seeds are tried at.
_BESIDE = 2
#: Where every LR learns as much, one that is so small a part of the smallest shows whether it is the LR that does it.
_NOTHING = 1e-4
#: Training losses that show where a training starts, and the part that shows where it ends.
_FIRST, _LAST = 8, 0.2


@dataclass(frozen=True)
class Probed:
    """What probes showed: their `readings`, a longer set after a shorter one, and every training that was made.

    `any_lr`: they learn as much with next to no LR. `left_out`: what the budget did not hold, in words.
    """

    readings: tuple[Probes, ...]
    trainings: tuple[Probe, ...]
    whole: int
    any_lr: bool = False
    left_out: tuple[str, ...] = ()

    def read(self, ramp: RangeTestResult) -> RangeTestResult:
        """The range test with the suggestion that the probes support; the ramp's own where they support none."""
        ramp = replace(ramp, probes=self.trainings, left_out=(*ramp.left_out, *self.left_out))
        if self.any_lr:
            return ramp.unanswered(Reason.ANY_LR)
        found, used = ramp, self.readings[0]
        for probes in self.readings:
            better = with_probes(ramp, probes)
            if better is not ramp:
                found, used = better, probes
        return ramp if found is ramp else replace(found, source=self._source(used))

    def _source(self, used: Probes) -> str:
        steps = round(used.part * self.whole)
        made = [probe for probe in self.trainings if probe.steps == steps]
        lrs, seeds = len({probe.lr for probe in made}), len({probe.seed for probe in made})
        counted = "1 seed" if seeds == 1 else f"{'' if lrs * seeds == len(made) else 'up to '}{seeds} seeds"
        share = f", 1/{self.whole / steps:.2g} of the run" if steps < self.whole else ""
        return f"{len(made)} short trainings ({lrs} LRs, {counted}, {steps} updates each{share})"


def probed(setup: Setup, plan: ProbePlan, middle: float, run: _Run, holds: Holds = unlimited) -> Probed:
    """Train probes around the LR `middle`, under the config's own schedule.

    The plan's LRs and seeds first; where the best LR is at an end, further ones beyond it; then some between the best
    and those beside it; then, where the plan began with one seed, further ones at the LRs around the best. Where some
    seed learns nothing at any LR, all again with twice the updates, up to four times. Where LRs above the best
    over-fit, which takes a longer training less of an LR to do, 5 LRs again with four times the updates, or as many as
    the run has. `run` trains trials: one call for each set of LRs; `holds`: whether the budget has room for so many.
    """
    longest = min(max(LONGEST * plan.steps, plan.steps), setup.steps)
    steps, left_out, made = min(plan.steps, longest), list[str](), list[Probe]()
    seeds = next((each for each in range(plan.seeds, 1, -1) if holds(plan.lrs * each, steps)), 1)
    plan = replace(plan, seeds=seeds)
    grid = _Probing(setup, Rung(steps / setup.steps, plan.lrs, plan.seeds, RATIO), middle, run, holds)
    probes = grid.refined(plan.whole)
    made += grid.trainings
    while not probes.begun and steps < longest:
        longer = min(2 * steps, longest)
        if not holds(plan.lrs * plan.seeds, longer):
            left_out.append("longer trainings, though some seed learned nothing in these")
            break
        steps = longer
        grid = _Probing(setup, Rung(steps / setup.steps, plan.lrs, plan.seeds, RATIO), middle, run, holds)
        probes = grid.refined(plan.whole)
        made += grid.trainings
    readings = [probes]
    if probes.overfitted and steps < longest:
        more = _longer(setup, probes, steps, longest, run, holds)
        if more is None:
            left_out.append("longer trainings, though these over-fit")
        else:
            readings.append(more.probes())
            made += more.trainings
    left_out += grid.left_out
    return Probed(tuple(readings), tuple(made), setup.steps, grid.any_lr(probes), tuple(left_out))


def most_seeds(setup: Setup) -> int:
    """Seeds of each probe where the budget holds all."""
    return min(SEEDS, setup.config.range_test.seeds)


def _longer(setup: Setup, probes: Probes, steps: int, longest: int, run: _Run, holds: Holds) -> _Probing | None:
    """Longer trainings on fewer LRs, around the one that learns as much in them as the best has learned so far."""
    middle = float(probes.lr[probes.best]) * steps / longest
    for seeds in range(most_seeds(setup), 0, -1):
        if holds(_LONGER_LRS * seeds, longest):
            return _Probing(setup, Rung(longest / setup.steps, _LONGER_LRS, seeds, _LONGER_RATIO), middle, run, holds)
    return None


class _Probing:
    """Trains the LRs of one length around `middle`, and beyond where the best is at an end."""

    def __init__(self, setup: Setup, rung: Rung, middle: float, run: _Run, holds: Holds) -> None:
        self.setup, self.rung, self.run, self.holds = setup, rung, run, holds
        self.steps = round(rung.fraction * setup.steps)
        self.search, self.traces = Search(middle), dict[tuple[float, int], Trace]()
        self.left_out: list[str] = []
        wanted = self.search.grid(rung)
        # A plan was made for the first of them; who comes to more has less of them.
        while wanted and (not self.traces or self._fit(len(wanted) * rung.seeds)):
            self.train(wanted, range(rung.seeds))
            wanted = self.search.beyond(rung)
        if wanted:
            self.left_out.append("LRs beyond those tried, though the best one is at their end")

    def refined(self, whole: bool) -> Probes:
        """With LRs between the best and those beside it and, unless the grid had all, further seeds around the best."""
        middles = self.search.between()
        if middles and not self._fit(len(middles) * self.rung.seeds):
            # The two next to the best one tell most.
            middles = self._nearest(middles, 2)
        if middles and self._fit(len(middles) * self.rung.seeds):
            self.train(middles, range(self.rung.seeds))
        elif middles:
            self.left_out.append("LRs between those tried")
        if not whole:
            self._more_seeds()
        return self.probes()

    def train(self, lrs: Sequence[float], seeds: Sequence[int]) -> None:
        """These seeds at each of these LRs."""
        setup = self.setup
        trials = [
            setup.trial(setup.config.seed + seed, lr, f"probe {lr:.3g}", steps=self.steps)
            for lr in lrs
            for seed in seeds
        ]
        asked = np.repeat(lrs, len(seeds)).tolist()
        for lr, trial, trace in zip(asked, trials, self.run(trials), strict=True):
            self.traces[lr, trial.seed] = trace
            self.search.tell(lr, trial.seed, final_loss(trace))

    def any_lr(self, probes: Probes) -> bool:
        """Whether next to no LR teaches as much as the best: it is tried where the smallest does."""
        levels = probes.last.mean(axis=1)
        if probes.begun and np.isfinite(probes.last).all() and are_the_same(probes.last):
            return True
        if not probes.as_much(float(levels[0])) or not self._fit(1):
            return False
        lr, seed = float(probes.lr[0]) * _NOTHING, self.setup.config.seed
        (trace,) = self.run([self.setup.trial(seed, lr, f"probe {lr:.3g}", steps=self.steps)])
        return probes.as_much(_level(trace))

    @property
    def trainings(self) -> list[Probe]:
        """Every training that was made, by LR and seed."""
        return [Probe(lr, seed, self.steps, final_loss(trace)) for (lr, seed), trace in sorted(self.traces.items())]

    def probes(self) -> Probes:
        """What has been trained."""
        traces = self.traces
        lrs, seeds = sorted({lr for lr, _ in traces}), sorted({seed for _, seed in traces})
        asked = np.array([[(lr, seed) in traces for seed in seeds] for lr in lrs])
        losses = np.array([[_of(final_loss, traces.get((lr, seed))) for seed in seeds] for lr in lrs])
        last = np.array([[_of(_level, traces.get((lr, seed))) for seed in seeds] for lr in lrs])
        tried = {seed: next(lr for lr in lrs if (lr, seed) in traces) for seed in seeds}
        first = np.array([_padded(traces[tried[seed], seed].train_loss[:_FIRST]) for seed in seeds])
        validated = self.setup.task.val is not None
        return Probes(
            np.array(lrs),
            completed(losses, asked),
            first,
            completed(last, asked),
            self.rung.fraction,
            validated,
            None if asked.all() else np.asarray(asked.all(axis=1)),
        )

    def _more_seeds(self) -> None:
        """Further seeds at the LRs around the best, as long as the budget has room for them.

        With each seed the best may turn out to have been luck: then the LRs around the new best have their turn.
        """
        for seed in range(self.rung.seeds, most_seeds(self.setup)):
            while wanted := self._unseen(seed):
                if not self._fit(len(wanted)):
                    self.left_out.append(f"further seeds ({seed} instead of {most_seeds(self.setup)})")
                    return
                self.train(wanted, [seed])

    def _unseen(self, seed: int) -> list[float]:
        """LRs at and beside the best, by the mean over the seeds it was tried with, that this one was not tried at."""
        losses = dict[float, list[float]]()
        for (lr, _), trace in self.traces.items():
            losses.setdefault(lr, []).append(final_loss(trace))
        means = {lr: float(np.mean(each)) for lr, each in losses.items() if np.isfinite(each).all()}
        if not means:
            return []
        near = self._nearest(sorted(losses), 2 * _BESIDE + 1, min(means, key=lambda lr: means[lr]))
        numbered = self.setup.config.seed + seed
        return [lr for lr in near if (lr, numbered) not in self.traces]

    def _nearest(self, lrs: Sequence[float], count: int, lr: float | None = None) -> list[float]:
        """So many of the LRs, those next to one of them, or to the best that was tried."""
        if lr is None:
            known, losses = self.search.table()
            lr = float(known[int(np.argmin(np.where(np.isfinite(losses), losses, np.inf).mean(axis=1)))])
        return sorted(sorted(lrs, key=lambda each: abs(np.log(each / lr)))[:count])

    def _fit(self, trials: int) -> bool:
        return self.holds(trials, self.steps)


def _of(read: Callable[[Trace], float], trace: Trace | None) -> float:
    return np.nan if trace is None else read(trace)


def _padded(losses: Array) -> Array:
    """Exactly the first few losses, NaN for those that a very short training does not have."""
    return np.pad(losses, (0, _FIRST - len(losses)), constant_values=np.nan)


def _level(trace: Trace) -> float:
    """Where the training loss ends; NaN if it diverged."""
    steps = trace.trial.steps
    return float(trace.train_loss[-max(1, int(steps * _LAST)) :].mean()) if np.isfinite(final_loss(trace)) else np.nan
