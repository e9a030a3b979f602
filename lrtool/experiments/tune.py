"""`tune`: the search of the best peak LR for this task, optimizer, schedule and budget: measured by real trainings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from lrtool.analysis.divergence import RANGE_TEST
from lrtool.analysis.lr_fit import NoAnswer, Response
from lrtool.analysis.range_test import analyse
from lrtool.analysis.range_test_result import RangeTestResult
from lrtool.analysis.search.best_lr import FORETOLD_LRS, LEAST_LRS, MAX_SEEDS, Rung, Search, least_runs, plan
from lrtool.analysis.search.transfer.design import holds_shorter
from lrtool.analysis.search.transfer.extrapolate import Transferred
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.calibration import Seconds
from lrtool.engine.trials import Trial
from lrtool.errors import UsageError
from lrtool.experiments.budget import Budget
from lrtool.experiments.engines import Engines
from lrtool.experiments.final import final_loss
from lrtool.experiments.observers import ObserverFactory
from lrtool.experiments.prior.start import bracket, centre, critical_estimate, expected_exponent, foretold
from lrtool.experiments.range_test.ramp import losses_of, range_test_trials
from lrtool.experiments.resuming.searches import Begun, begin, found, told_how_to_go_on
from lrtool.experiments.runner import TrialRunner
from lrtool.experiments.session import Session, session
from lrtool.experiments.setup import Setup
from lrtool.experiments.transfer.request import TransferRequest
from lrtool.experiments.transfer.training import transferred
from lrtool.experiments.tune_result import Tuned, TuneResult, no_answer, plot_of, summarise, warnings_of
from lrtool.loggers import Logger, wanted
from lrtool.report import pictures
from lrtool.report.plots.tune import draw_tune
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import sort_metrics
from lrtool.schedules import Schedule
from lrtool.status import Status


def run_tune(
    setup: Setup,
    output: Path,
    watch: ObserverFactory,
    budget: float | None = None,
    schedules: Sequence[str] = (),
    engines: Engines | None = None,
    say: Callable[[str], None] | None = None,
    loggers: Sequence[Logger] | None = None,
    short: bool = False,
    expected: float | None = None,
) -> tuple[Session, TuneResult | Transferred]:
    """Find the best peak LR by training, into a new run folder.

    `budget`: cost at most, in the time that one training run by itself takes, its validations included; None: 3 runs
    or about 20 seconds, whichever is more. Where trials are stacked, the same time holds more of them. `schedules`:
    kinds to tune and rank; none: the config's own. `say` hears what it will cost before it begins. `loggers` hear of
    all trials; None: the config's. `short`: where the budget is below one run and holds no comparison of LRs, shorter
    runs are trained, and their best LRs extrapolated. `expected`: a best LR that is foretold. Raises UsageError where
    the budget is too small for any comparison, TaskError where the user's code fails.
    """
    loggers, engines = wanted(setup.config.logging) if loggers is None else loggers, engines or Engines()
    folder = RunFolder.create(output, setup.config.name, "tune")
    with folder.held():
        asked = {"budget": budget, "schedules": [*schedules], "engine": engines.wanted}
        asked |= {"short": short, "expected": expected}
        return _carried_out(setup, folder, watch, engines, Begun(begin(folder, setup, asked), asked, ()), say, loggers)


def resume_tune(
    setup: Setup,
    folder: RunFolder,
    watch: ObserverFactory,
    say: Callable[[str], None] | None = None,
    force: bool = False,
    engines: Engines | None = None,
    loggers: Sequence[Logger] | None = None,
) -> tuple[Session, TuneResult | Transferred, tuple[str, ...]]:
    """Go on with a tune that was stopped, in its own folder, to the same result; gives what is to be said of it, too.

    `engines`: where it trains; by which engine is as it was asked for. `loggers`: as for `run_tune`; None: as the
    config says. Raises UsageError, and changes nothing, where its config, code or data were changed (`force`: all is
    trained again).
    """
    with folder.held():
        search = found(folder, setup, force)
        engines = (engines or Engines()).asked_for(search.asked)
        loggers = wanted(setup.config.logging) if loggers is None else loggers
        return *_carried_out(setup, folder, watch, engines, search, say, loggers), search.notes


def _carried_out(
    setup: Setup,
    folder: RunFolder,
    watch: ObserverFactory,
    engines: Engines,
    search: Begun,
    say: Callable[[str], None] | None,
    loggers: Sequence[Logger],
) -> tuple[Session, TuneResult | Transferred]:
    config, budget, schedules = setup.config, search.asked.get("budget"), search.asked.get("schedules", ())
    with closing(search.memory), session(folder, "tune", config, str(setup.recipe.device), loggers) as run:
        columns = ("val_loss", *(f"val_{name}" for name in setup.task.metrics))
        with (
            told_how_to_go_on("tune", folder),
            folder.metrics(columns, search.rows(setup)) as writer,
            TrialRunner(setup, writer, watch, engines, run.tracker.observers(), search.memory) as runner,
        ):
            kinds = _schedules(setup, schedules)
            here = bool(search.memory.decide("here", lambda: engines.here))
            tuner = _Tuner(setup, runner, Budget(setup, runner, engines, budget), len(kinds), here)
            if search.asked.get("short") and len(kinds) == 1 and tuner.only_shorter():
                shorter = TransferRequest.of_length(setup)
                return run, transferred(shorter, run, writer, watch, budget, engines, search.memory)
            if say is not None:
                say(_announcement(tuner.announced, tuner.budget.one))
            result = tuner.tune(kinds, search.asked.get("expected"))
        sort_metrics(folder.path / "metrics.csv")
        run.steps = tuner.runner.steps
        _tell(run, result, engines)
    return run, result


def _tell(run: Session, result: TuneResult, engines: Engines) -> None:
    """Put the result into the summary that is to be written, and draw it."""
    run.results = {**summarise(result), "engine": engines.summary()}
    run.reason = no_answer(result)
    if result.best.response.reason is NoAnswer.ALL_DIVERGED:
        run.status = Status.DIVERGED
    plot = plot_of(result, run.config.name)
    pictures.picture(run.folder, "tune", lambda: draw_tune(plot))


def _schedules(setup: Setup, kinds: Sequence[str]) -> dict[str, Schedule]:
    """The schedules to tune, by name; a kind that is the config's own keeps the config's fields."""
    from lrtool.schedules import KINDS

    own = setup.config.schedule
    kinds = kinds or [own.kind]
    return {kind: own if kind == own.kind else KINDS[kind].model_validate({"warmup": own.warmup}) for kind in kinds}


def _announcement(takes: Seconds, one: float) -> str:
    return f"will take {takes.written}, as long as {takes.low / one:.2g} to {takes.high / one:.2g} training runs"


class _Tuner:
    """The state of one `tune`: its budget and the trials so far."""

    def __init__(self, setup: Setup, runner: TrialRunner, budget: Budget, schedules: int, here: bool) -> None:
        self.setup, self.runner, self.budget, self._here = setup, runner, budget, here
        self._schedules = schedules
        self.announced = self.budget.scaled(self._calls, filled=True)

    def only_shorter(self) -> bool:
        """Whether the budget, below one run, holds no comparison of LRs, but shorter runs to learn from."""
        limit = self.budget.limit
        return self.budget.runs < 1 and len(self._calls(limit)) == 1 and holds_shorter(self.setup.steps, limit)

    def tune(self, schedules: Mapping[str, Schedule], expected: float | None = None) -> TuneResult:
        """Range test, rungs, fits; `expected`: a best LR that is foretold."""
        ramp, budget = self._range_test(), self.budget
        middle, most = bracket(centre(ramp, self.setup.config.optimizer.lr), ramp.critical)
        searches = {name: Search(middle, most, expected_exponent(self.setup, each)) for name, each in schedules.items()}
        if expected is not None:
            for search in searches.values():
                search.expect(expected)
        rungs = plan(budget.left / len(schedules), budget.cost)
        if not rungs:
            raise self._too_small()
        responses: dict[str, Response] = {}
        fraction = 0.0
        for rung in self._fitted(rungs):
            self._rung(rung, schedules, searches)
            responses = {name: search.narrow() for name, search in searches.items()}
            fraction = rung.fraction
        ranking = sorted(
            (Tuned(name, schedules[name], searches[name], responses[name], fraction) for name in schedules),
            key=lambda each: each.expected,
        )
        return TuneResult(
            tuple(ranking),
            ramp,
            budget.spent_runs,
            budget.elapsed,
            self.runner.trials,
            warnings_of(ranking[0], budget.cut, self.setup.task.val_samples),
            budget.one,
            (self.announced.low, self.announced.high),
            budget.limit,
            budget.trained,
        )

    def _calls(self, limit: float) -> list[Amount]:
        """What the engine would be asked for, call after call, if so many runs might be trained."""
        settings, budget = self.setup.config.range_test, self.budget
        seeds = self._ramps(limit)
        left = limit - seeds * budget.part(settings.steps, 0)
        rungs = plan(left / self._schedules, budget.cost)
        return [Amount(seeds, settings.steps, 0), *(self._amount(rung) for rung in rungs)]

    def _amount(self, rung: Rung) -> Amount:
        return Amount(rung.lrs * rung.seeds * self._schedules, max(1, round(self.setup.steps * rung.fraction)), 1)

    def _ramps(self, limit: float) -> int:
        """Seeds of the range test: as many as a sixth of what may be trained holds, one at least."""
        settings = self.setup.config.range_test
        return min(settings.seeds, max(1, int(limit / 6 / self.budget.part(settings.steps, 0))))

    def _too_small(self) -> UsageError:
        budget = self.budget
        least = budget.trained + self._schedules * least_runs(budget.cost)
        return UsageError(
            f"a budget of {budget.runs:.3g} training runs holds no comparison of LRs; the range"
            f" test alone took {budget.trained:.2g}",
            where="--budget",
            remedy=f"write at least --budget {math.ceil(least):.2g}x",
        )

    def _fitted(self, rungs: Sequence[Rung]) -> Iterator[Rung]:
        """Each rung with the seeds that what is then left of the budget holds; none where it holds no comparison.

        Where time runs short the last rung comes next, as its trainings are the longest.
        """
        for index, rung in enumerate(rungs):
            part = self.budget.allows([self._amount(each) for each in rungs[index:]]) if index else 1.0
            if part < 1 and index + 1 < len(rungs):
                continue
            costs = [self.budget.cost(each.fraction) * each.lrs * each.seeds for each in rungs[index:]]
            runs = self.budget.left * costs[0] / sum(costs) / self._schedules
            if self.budget.cut:
                runs = min(runs, part * costs[0])
            each = self.budget.cost(rung.fraction)
            seeds = min(MAX_SEEDS, int(runs / (each * rung.lrs) + 1e-9))
            lrs = rung.lrs if seeds else int(runs / each + 1e-9)
            if lrs < LEAST_LRS:
                return
            yield replace(rung, lrs=lrs, seeds=max(1, seeds))

    def _rung(self, rung: Rung, schedules: Mapping[str, Schedule], searches: Mapping[str, Search]) -> None:
        for turn in self._turns(rung, schedules, searches):
            wanted = {name: search.grid(rung) for name, search in turn.items()}
            while any(wanted.values()):
                self._train(rung, wanted, schedules, searches)
                holds = self._holds_more(rung)
                wanted = {name: search.beyond(rung) if holds else [] for name, search in turn.items()}

    def _turns(
        self, rung: Rung, schedules: Mapping[str, Schedule], searches: Mapping[str, Search]
    ) -> Iterator[Mapping[str, Search]]:
        """Searches that go on at once: all, but the first of a wide first rung foretells where the others begin."""
        first = next(iter(searches))
        if len(searches) == 1 or rung.lrs <= FORETOLD_LRS or any(search.losses for search in searches.values()):
            yield searches
            return
        yield {first: searches[first]}
        best = searches[first].narrow().lr
        for name, lr in foretold(best, first, self.setup, schedules).items() if best is not None else ():
            searches[name].expect(lr)
        yield {name: search for name, search in searches.items() if name != first}

    def _holds_more(self, rung: Rung) -> bool:
        """Whether the budget holds two further LRs of every schedule."""
        more = replace(rung, lrs=2)
        each = self.budget.cost(rung.fraction) * rung.seeds * 2 * self._schedules
        return self.budget.left >= each and self.budget.allows([self._amount(more)]) == 1.0

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

    def _trial(self, schedule: Schedule, lr: float, seed: int, fraction: float) -> Trial:
        steps = max(1, round(self.setup.steps * fraction))
        return self.setup.trial(seed, lr, f"{schedule.kind} {lr:.3g}", schedule=schedule, steps=steps)

    def _range_test(self) -> RangeTestResult:
        """The config's own ramp, on as many seeds as a sixth of the budget holds."""
        settings = self.setup.config.range_test
        recipe = replace(self.setup.recipe, eval_every=0, divergence_rule=RANGE_TEST)
        trials = range_test_trials(self.setup)[: self._ramps(self.budget.limit)]
        traces = self.runner.run(trials, replace(self.setup.task, val=None), recipe)
        table, losses = trials[0].curves["lr"].table(), losses_of(traces, settings.steps)
        result = analyse(table, losses, settings.smoothing, methods=settings.methods)
        critical = critical_estimate(self.setup, self.runner.memory, self.budget.runs) if self._here else None
        return replace(result, critical=critical)
