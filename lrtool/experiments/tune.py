"""The best peak LR for this task, optimizer, schedule and budget: measured by real trainings."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.divergence import RANGE_TEST
from lrtool.analysis.range_test import RangeTestResult, analyse
from lrtool.analysis.response import NoAnswer, Response
from lrtool.engine.choose import loop_seconds
from lrtool.engine.trials import Trial
from lrtool.errors import UsageError
from lrtool.experiments.engines import Engines
from lrtool.experiments.range_test import losses_of, range_test_trials
from lrtool.experiments.runner import TrialRunner, Watch
from lrtool.experiments.search import LEAST_LRS, MAX_SEEDS, Rung, Search, plan
from lrtool.experiments.session import Session, session
from lrtool.experiments.setup import Setup
from lrtool.experiments.short import compressed, final_loss
from lrtool.experiments.tune_result import Tuned, TuneResult, Warning_, answer, no_answer, summarise
from lrtool.report.style import save
from lrtool.report.tune import TunedCurve, TunePlot, draw_tune
from lrtool.runs.folder import RunFolder
from lrtool.schedules import Schedule

Array = NDArray[np.float64]

#: Without a budget of the user's: this many training runs, or this many seconds if that is more.
DEFAULT_RUNS, DEFAULT_SECONDS = 3.0, 20.0
#: Validation samples below which their choice matters more than the seeds', which is all that trials show.
_FEW_SAMPLES = 50
#: Trials, at least, that stand for all of a tune's when its speed is measured.
_MANY = 32


def run_tune(
    setup: Setup,
    output: Path,
    watch: Watch,
    budget: float | None = None,
    schedules: Sequence[str] = (),
    engines: Engines | None = None,
) -> tuple[Session, TuneResult]:
    """Find the best peak LR by training, into a new run folder.

    `budget`: cost at most, in the time that one training run by itself takes; None: 3 runs or 20 seconds,
    whichever is more. Where trials are stacked, the same time holds more of them. `schedules`: kinds to tune and
    rank; none: the config's own. Raises UsageError where the budget is too small for any comparison, TaskError
    where the user's code fails.
    """
    config, engines = setup.config, engines or Engines()
    folder = RunFolder.create(output, config.name, "tune")
    with folder.held(), session(folder, "tune", config, str(setup.recipe.device)) as run:
        with folder.metrics(("val_loss", *(f"val_{name}" for name in setup.task.metrics))) as writer:
            tuner = _Tuner(setup, TrialRunner(setup, writer, watch, engines), engines, budget)
            result = tuner.tune(_schedules(setup, schedules))
        run.steps = tuner.runner.steps
        run.results = {**summarise(result), "engine": engines.summary()}
        run.reason = no_answer(result)
        if result.best.response.reason is NoAnswer.ALL_DIVERGED:
            run.status = "diverged"
        save(draw_tune(_plot(result, config.name)), folder, "tune")
    return run, result


def _schedules(setup: Setup, kinds: Sequence[str]) -> dict[str, Schedule]:
    """The schedules to tune, by name; a kind that is the config's own keeps the config's fields."""
    from lrtool.schedules import KINDS

    own = setup.config.schedule
    if not kinds:
        return {own.kind: own}
    return {kind: own if kind == own.kind else KINDS[kind].model_validate({"warmup": own.warmup}) for kind in kinds}


def _plot(result: TuneResult, name: str) -> TunePlot:
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


class _Tuner:
    """The state of one `tune`: its budget and the trials so far.

    Cost is counted in whole training runs of updates, not in seconds, so that the same config, seed and budget
    give the same trials on a busy machine and on an idle one. A budget holds so many times more of them as the
    stack is faster than the loop: that is measured, and rounded down to a power of 2, so that it rarely differs.
    """

    def __init__(self, setup: Setup, runner: TrialRunner, engines: Engines, budget: float | None) -> None:
        self.setup, self.runner, self._engines = setup, runner, engines
        self._began = time.perf_counter()
        runs = budget if budget is not None else max(DEFAULT_RUNS, DEFAULT_SECONDS / _seconds_of_one_run(setup))
        self._speedup = self._measured_speedup(runs)
        self._limit = runs * self._speedup

    def tune(self, schedules: Mapping[str, Schedule]) -> TuneResult:
        """Range test, rungs, fits."""
        ramp = self._range_test()
        searches = {name: Search(_centre(ramp, self.setup.config.optimizer.lr)) for name in schedules}
        rungs = plan(self._left / len(schedules))
        if not rungs:
            raise UsageError(
                f"a budget of {self._limit / self._speedup:.3g} training runs holds no comparison of LRs; the range"
                f" test alone took {self._spent / self._speedup:.2g}",
                where="--budget",
                remedy=f"write at least --budget {np.ceil(self._spent + 2 * len(schedules)) / self._speedup:.2g}x",
            )
        responses: dict[str, Response] = {}
        fraction = 0.0
        for rung in self._fitted(rungs, len(schedules)):
            self._rung(rung, schedules, searches)
            responses = {name: search.narrow() for name, search in searches.items()}
            fraction = rung.fraction
        ranking = sorted(
            (Tuned(name, schedules[name], searches[name], responses[name], fraction) for name in schedules),
            key=lambda each: each.expected,
        )
        seconds = time.perf_counter() - self._began
        runs = self._spent / self._speedup
        return TuneResult(tuple(ranking), ramp, runs, seconds, self.runner.trials, self._warnings(ranking[0]))

    @property
    def _spent(self) -> float:
        return self.runner.steps / self.setup.steps

    @property
    def _left(self) -> float:
        return max(0.0, self._limit - self._spent)

    def _fitted(self, rungs: Sequence[Rung], schedules: int) -> Iterator[Rung]:
        """Each rung with the seeds that what is then left of the budget holds; none where it holds no comparison."""
        for index, rung in enumerate(rungs):
            share = rung.cost / sum(each.cost for each in rungs[index:])
            runs = self._left * share / schedules
            seeds = min(MAX_SEEDS, int(runs / (rung.fraction * rung.lrs) + 1e-9))
            lrs = rung.lrs if seeds else int(runs / rung.fraction)
            if lrs < LEAST_LRS:
                return
            yield replace(rung, lrs=lrs, seeds=max(1, seeds))

    def _rung(self, rung: Rung, schedules: Mapping[str, Schedule], searches: Mapping[str, Search]) -> None:
        wanted = {name: search.grid(rung) for name, search in searches.items()}
        while any(wanted.values()):
            self._train(rung, wanted, schedules, searches)
            step = rung.fraction * rung.seeds * len(searches) * 2
            wanted = {name: search.beyond(rung) if self._left >= step else [] for name, search in searches.items()}

    def _train(
        self,
        rung: Rung,
        wanted: Mapping[str, Sequence[float]],
        schedules: Mapping[str, Schedule],
        searches: Mapping[str, Search],
    ) -> None:
        """Train these LRs of every schedule, all seeds, in one call of the engine."""
        seeds = [self.setup.config.seed + number for number in range(rung.seeds)]
        planned = [(name, lr, seed) for name, lrs in wanted.items() for lr in lrs for seed in seeds]
        trials = [self._trial(schedules[name], lr, seed, rung.fraction) for name, lr, seed in planned]
        traces = self.runner.run(trials, self.setup.task, self.setup.recipe)
        for (name, lr, seed), trace in zip(planned, traces, strict=True):
            searches[name].tell(lr, seed, final_loss(trace))

    def _warnings(self, best: Tuned) -> tuple[Warning_, ...]:
        response = best.response
        if response.lr is None:
            return ()
        warnings = []
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
        if self.setup.task.val is not None and len(self.setup.task.val) < _FEW_SAMPLES:
            warnings.append(Warning_.FEW_SAMPLES)
        return tuple(warnings)

    def _measured_speedup(self, runs: float) -> float:
        """How many times more trials are trained in the time of one by itself: a power of 2, from 1 to 8."""
        trials = [self.setup.trial(self.setup.config.seed, self.setup.config.optimizer.lr)] * max(_MANY, int(runs))
        speedup = self._engines.choose(self.setup.task, trials, self.setup.recipe).speedup
        return float(2 ** min(3, max(0, math.floor(math.log2(speedup)))))

    def _trial(self, schedule: Schedule, lr: float, seed: int, fraction: float) -> Trial:
        setup = replace(self.setup, config=self.setup.config.model_copy(update={"schedule": schedule}))
        steps = max(1, round(setup.steps * fraction))
        curves = {name: compressed(curve, steps) for name, curve in setup.curves(lr, setup.steps).items()}
        return Trial(seed, steps, curves, setup.config.optimizer.hyperparameters(), f"{schedule.kind} {lr:.3g}")

    def _range_test(self) -> RangeTestResult:
        """The config's own ramp, on as many seeds as a sixth of the budget holds."""
        settings = self.setup.config.range_test
        recipe = replace(self.setup.recipe, eval_every=0, divergence_rule=RANGE_TEST)
        each = settings.steps / self.setup.steps
        trials = range_test_trials(self.setup)[: max(1, int(self._limit / 6 / each))]
        traces = self.runner.run(trials, replace(self.setup.task, val=None), recipe)
        return analyse(trials[0].curves["lr"].table(), losses_of(traces, settings.steps), settings.smoothing)


def _seconds_of_one_run(setup: Setup) -> float:
    """What one training run costs by itself."""
    trial = setup.trial(setup.config.seed, setup.config.optimizer.lr)
    return loop_seconds(setup.task, trial, setup.recipe) * setup.steps


def _centre(ramp: RangeTestResult, configured: float) -> float:
    """Where the first grid lies: the ramp's reading, or the config's own LR where it shows nothing."""
    if ramp.suggestion is not None:
        return ramp.suggestion.value
    if ramp.stability is not None and np.isfinite(ramp.stability.value):
        return ramp.stability.value / 8
    return configured
