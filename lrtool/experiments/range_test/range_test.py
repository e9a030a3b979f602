"""The LR range test: a few seeds trained while the LR ramps up (Smith 2017, arXiv:1506.01186)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrtool.analysis.divergence import RANGE_TEST
from lrtool.analysis.range_test import analyse
from lrtool.analysis.range_test_result import Caveat, RangeTestResult, Reason
from lrtool.config.settings import RangeTestSettings
from lrtool.engine.trials import Trace
from lrtool.experiments.budget import RANGE_TEST as USUAL
from lrtool.experiments.budget import Budget
from lrtool.experiments.engines import Engines
from lrtool.experiments.observers import ObserverFactory
from lrtool.experiments.prior.critical import remembered_critical_lr
from lrtool.experiments.range_test.honesty import falls_along_its_gradient
from lrtool.experiments.range_test.listener import Listener
from lrtool.experiments.range_test.measuring import measured
from lrtool.experiments.range_test.probes import most_seeds
from lrtool.experiments.range_test.ramp import losses_of, range_test_trials, validation_of
from lrtool.experiments.range_test.spending import Spending
from lrtool.experiments.resuming.searches import Begun, begin, found, told_how_to_go_on
from lrtool.experiments.runner import TrialRunner
from lrtool.experiments.session import Session, session
from lrtool.experiments.setup import Setup
from lrtool.loggers import Logger, wanted
from lrtool.report import pictures
from lrtool.report.plots.range_test import RangeTestPlot, draw_range_test
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import sort_metrics
from lrtool.status import Status

#: The reason in the summary as long as more is measured; it stays there if the command is killed.
_GOING_ON = "only the ramp was done: its answer stands here, short trainings had not yet checked it"


def run_range_test(
    setup: Setup,
    output: Path,
    watch: ObserverFactory,
    engines: Engines | None = None,
    budget: float | None = None,
    quick: bool = False,
    listener: Listener | None = None,
) -> tuple[Session, RangeTestResult]:
    """Run the config's range test into a new run folder: the ramp, then the short trainings that check what it says.

    `watch(trials, steps)` makes the observer that shows progress. `budget`: cost at most, in the time that one training
    run by itself takes, its validations included, apart from the ramp; None: 1 run or about 10 seconds, whichever is
    more. `quick`: the ramp alone. `listener` hears what it will cost and, before the short trainings, what the ramp
    says: by then that is on disk, too. Raises TaskError where the user's code fails and OutputError where the folder
    cannot be written; what was measured by then is on disk.
    """
    # What is missing is said before anything is made.
    engines, loggers = engines or Engines(), wanted(setup.config.logging)
    folder = RunFolder.create(output, setup.config.name, "range-test")
    with folder.held():
        memory = begin(folder, setup, {"budget": budget, "quick": quick, "engine": engines.wanted})
        search = Begun(memory, {}, ())
        return _carried_out(setup, folder, watch, engines, listener, search, (budget, quick), loggers)


def resume_range_test(
    setup: Setup, folder: RunFolder, watch: ObserverFactory, listener: Listener | None = None, force: bool = False
) -> tuple[Session, RangeTestResult, tuple[str, ...]]:
    """Go on with a range test that was stopped, in its own folder; gives what is to be said of it, too.

    The result is that of never having stopped. Raises UsageError, and changes nothing, where its config, code or data
    were changed (unless `force`, which trains everything again).
    """
    with folder.held():
        search = found(folder, setup, force)
        engines = Engines().asked_for(search.asked)
        asked = search.asked.get("budget"), bool(search.asked.get("quick", False))
        loggers = wanted(setup.config.logging)
        return *_carried_out(setup, folder, watch, engines, listener, search, asked, loggers), search.notes


def _carried_out(
    setup: Setup,
    folder: RunFolder,
    watch: ObserverFactory,
    engines: Engines,
    listener: Listener | None,
    search: Begun,
    asked: tuple[float | None, bool],
    loggers: Sequence[Logger],
) -> tuple[Session, RangeTestResult]:
    config, (budget, quick) = setup.config, asked
    with closing(search.memory), session(folder, "range-test", config, str(setup.recipe.device), loggers) as run:
        test = _RangeTest(setup, run, engines, listener or Listener())
        columns = (*_val_columns(setup),) if config.range_test.val_every.amount or config.range_test.probe_steps else ()
        with (
            told_how_to_go_on("range-test", folder),
            folder.metrics(columns, search.rows(setup)) as writer,
            TrialRunner(setup, writer, watch, engines, run.tracker.observers(), search.memory) as runner,
        ):
            result = test.measure(runner, Budget(setup, runner, engines, budget, USUAL), quick)
        sort_metrics(folder.path / "metrics.csv")
        test.tell(result)
        test.draw(result)
    return run, result


class _RangeTest:
    """One range test: what it measures, and what it leaves in its run folder as it goes on."""

    def __init__(self, setup: Setup, run: Session, engines: Engines, listener: Listener) -> None:
        self.setup, self.run, self.engines, self.listener = setup, run, engines, listener
        self.began, self.traces = time.perf_counter(), list[Trace]()
        self.cost: dict[str, Any] = {}

    def measure(self, runner: TrialRunner, budget: Budget, quick: bool) -> RangeTestResult:
        """The ramp and, unless that is all that is wanted, the short trainings that the budget holds."""
        spending, settings = Spending(self.setup, runner, budget), self.setup.config.range_test
        alone = quick or not settings.probe_steps
        self.listener.announced(*spending.announced(alone))
        result = self._ramp(runner, *spending.ramp_size(alone))
        if alone:
            result = self._with_critical(result, runner, spending)
            self._answered(runner, spending)
            return self._checked(result)
        self._answered(runner, spending)
        with spending.budget.aside():
            self._first(result)
        # What people wait for comes first: the ramp's answer does not rest on these.
        result = self._checked(self._with_critical(result, runner, spending))
        plan = spending.plan(most_seeds(self.setup))
        self.listener.expected(runner.steps + spending.ahead(plan))
        result = measured(self.setup, result, plan, spending).cautioned()
        self._spent(runner, spending)
        if result.left_out:
            self.cost["budget_for_everything"] = spending.everything(most_seeds(self.setup))
        return result

    def tell(self, result: RangeTestResult) -> None:
        """Put the result into the summary that is to be written."""
        run = self.run
        run.results = {**result.summary(), "cost": self.cost, "engine": self.engines.summary()}
        run.results.pop("reason")
        if result.suggestion is None:
            run.reason = result.reason.value if result.reason else ""
        if result.reason is Reason.ALL_DIVERGED:
            run.status = Status.DIVERGED

    def draw(self, result: RangeTestResult) -> None:
        """Write the probes and the plot, in place of those before."""
        rows = [f"{probe.lr!r},{probe.seed},{probe.steps},{probe.loss!r}" for probe in result.probes]
        if rows:
            self.run.folder.write_text("probes.csv", "\n".join(["lr,seed,steps,loss", *rows, ""]))
        plot = RangeTestPlot.of(result, self.setup.config.name, validation_of(self.traces))
        pictures.picture(self.run.folder, "range_test", lambda: draw_range_test(plot))

    def _ramp(self, runner: TrialRunner, seeds: int, steps: int) -> RangeTestResult:
        setup, settings = self.setup, self.setup.config.range_test
        trials = range_test_trials(setup, steps)[:seeds]
        recipe = replace(setup.recipe, eval_every=_val_every(setup), divergence_rule=RANGE_TEST, plateau=None)
        task = setup.task if settings.val_every.amount else replace(setup.task, val=None)
        began = time.perf_counter()
        self.traces = runner.run(trials, task, recipe)
        self.cost["ramp_seconds"] = round(time.perf_counter() - began, 3)
        table, losses = trials[0].curves["lr"].table(), losses_of(self.traces, steps)
        result = analyse(table, losses, settings.smoothing, methods=settings.methods)
        result = replace(result, left_out=(*_smaller(settings, seeds, steps),))
        if settings.suggest is not None:
            result = result.suggesting(settings.suggest)
        return result

    def _with_critical(self, result: RangeTestResult, runner: TrialRunner, spending: Spending) -> RangeTestResult:
        found = remembered_critical_lr(self.setup, runner.memory, spending.critical)
        if found is None:
            return result
        self.cost["critical"] = {"updates": found.updates, "forward_passes": found.passes}
        return replace(result, critical=found.estimate)

    def _checked(self, result: RangeTestResult) -> RangeTestResult:
        """The same, with what to know where the loss is not what the optimizer minimises."""
        if result.suggestion is None or falls_along_its_gradient(self.setup):
            return result
        return result.noting(Caveat.NOT_ITS_OWN_GRADIENT)

    def _first(self, result: RangeTestResult) -> None:
        """Show the ramp's answer, and leave it on disk: whatever happens then, it stands there."""
        run = self.run
        self.listener.answered(result)
        self.tell(result)
        kept = run.status, run.reason
        run.status, run.reason = Status.INTERRUPTED, _GOING_ON
        run.folder.write_json("summary.json", run.summary())
        self.draw(result)
        run.status, run.reason = kept[0], ""

    def _answered(self, runner: TrialRunner, spending: Spending) -> None:
        self._spent(runner, spending)
        self.cost["first_answer_seconds"] = round(time.perf_counter() - self.began, 3)

    def _spent(self, runner: TrialRunner, spending: Spending) -> None:
        self.run.steps = runner.steps
        self.cost.update(spending.spent(runner.trials))


def _smaller(settings: RangeTestSettings, seeds: int, steps: int) -> Iterator[str]:
    """What is left out of a ramp that has fewer seeds, or updates, than the config says."""
    if seeds < settings.seeds:
        yield f"{settings.seeds - seeds} of the ramp's {settings.seeds} seeds"
    if steps < settings.steps:
        yield f"a longer ramp ({steps} instead of {settings.steps} updates)"


def _val_every(setup: Setup) -> int:
    every = setup.config.range_test.val_every
    return setup.updates(every, "range_test.val_every") if every.amount else 0


def _val_columns(setup: Setup) -> list[str]:
    if setup.task.val is None:
        return []
    return ["val_loss", *(f"val_{name}" for name in setup.task.metrics)]
