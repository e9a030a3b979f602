"""The LR range test: a few seeds trained while the LR ramps up (Smith 2017, arXiv:1506.01186)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.divergence import RANGE_TEST
from lrtool.analysis.range_test import analyse
from lrtool.analysis.range_test_result import RangeTestResult, Reason
from lrtool.config.settings import RangeTestSettings
from lrtool.engine.trials import Trace, Trial
from lrtool.experiments.engines import Engines
from lrtool.experiments.observers import ObserverFactory
from lrtool.experiments.range_test.limit import with_limit
from lrtool.experiments.range_test.probes import probed
from lrtool.experiments.runner import TrialRunner
from lrtool.experiments.session import Session, session
from lrtool.experiments.setup import Setup
from lrtool.loggers import wanted
from lrtool.report.plots.range_test import RangeTestPlot, draw_range_test
from lrtool.report.plots.style import save
from lrtool.runs.folder import RunFolder
from lrtool.schedules import Curve
from lrtool.status import Status

Array = NDArray[np.float64]


def ramp(settings: RangeTestSettings) -> Curve:
    """The LR of each update: from `start` to exactly `end`, equally spaced in log LR (or in LR: `linear`)."""
    spaced = np.geomspace if settings.ramp == "exponential" else np.linspace
    table = spaced(settings.start, settings.end, settings.steps)
    # Rounding must not move the ends.
    table[0], table[-1] = settings.start, settings.end
    return Curve(lambda t: table[np.minimum(t.astype(np.int64), len(table) - 1)], settings.steps, settings.end)


def run_range_test(
    setup: Setup, output: Path, watch: ObserverFactory, engines: Engines | None = None
) -> tuple[Session, RangeTestResult]:
    """Run the config's range test into a new run folder: the ramp, then the probes that check what it says.

    `watch(trials, steps)` makes the observer that shows progress. Raises TaskError where the user's code
    fails and OutputError where the folder cannot be written; what was measured by then is on disk.
    """
    config, settings = setup.config, setup.config.range_test
    loggers = wanted(config.logging)
    folder = RunFolder.create(output, config.name, "range-test")
    engines = engines or Engines()
    trials = range_test_trials(setup)
    recipe = replace(setup.recipe, eval_every=_val_every(setup), divergence_rule=RANGE_TEST, plateau=None)
    with folder.held(), session(folder, "range-test", config, str(recipe.device), loggers) as run:
        task = setup.task if settings.val_every.amount else replace(setup.task, val=None)
        columns = (*_val_columns(setup),) if settings.val_every.amount or settings.probe_steps else ()
        with (
            folder.metrics(columns) as writer,
            TrialRunner(setup, writer, watch, engines, run.tracker.observers()) as runner,
        ):
            traces = runner.run(trials, task, recipe)
            run.steps = runner.steps
            result = analyse(trials[0].curves["lr"].table(), losses_of(traces, settings.steps), settings.smoothing)
            if settings.suggest is not None:
                result = result.suggesting(settings.suggest)
            if settings.probe_steps:
                result = _measured(setup, result, runner)
                run.steps = runner.steps
        run.results = {**result.summary(), "engine": engines.summary()}
        _conclude(run, result)
        run.results.pop("reason")
        save(draw_range_test(RangeTestPlot.of(result, config.name, _validation(traces))), folder, "range_test")
    return run, result


def _measured(setup: Setup, ramp: RangeTestResult, runner: TrialRunner) -> RangeTestResult:
    """The range test with the stability limit and, unless a method was chosen, the suggestion of short trainings."""
    steps, recipe = setup.config.range_test.probe_steps, replace(setup.recipe, plateau=None)
    unvalidated = replace(setup.task, val=None)
    limited = with_limit(setup, ramp, steps, lambda trials: runner.run(trials, unvalidated, recipe))
    if limited.chosen:
        return limited.cautioned()
    return probed(setup, limited, steps, lambda trials: runner.run(trials, setup.task, recipe)).cautioned()


def range_test_trials(setup: Setup) -> list[Trial]:
    """One trial per seed, all on the same ramp."""
    first, curves = setup.config.seed, {"lr": ramp(setup.config.range_test)}
    seeds = range(first, first + setup.config.range_test.seeds)
    return [setup.following(curves, seed, f"seed {seed}") for seed in seeds]


def losses_of(traces: list[Trace], steps: int) -> Array:
    """Training losses (seeds, steps), NaN after a seed stopped; a non-finite loss is not a point of the curve."""
    losses = np.full((len(traces), steps), np.nan)
    for row, trace in zip(losses, traces, strict=True):
        row[: trace.steps] = np.where(np.isfinite(trace.train_loss), trace.train_loss, np.nan)
    return losses


def _conclude(run: Session, result: RangeTestResult) -> None:
    if result.suggestion is None:
        run.reason = result.reason.value if result.reason else ""
    if result.reason is Reason.ALL_DIVERGED:
        run.status = Status.DIVERGED


def _val_every(setup: Setup) -> int:
    every = setup.config.range_test.val_every
    return setup.updates(every, "range_test.val_every") if every.amount else 0


def _val_columns(setup: Setup) -> list[str]:
    if setup.task.val is None:
        return []
    return ["val_loss", *(f"val_{name}" for name in setup.task.metrics)]


def _validation(traces: list[Trace]) -> list[tuple[Array, Array]]:
    """Validation losses along the ramp, a pair (LR, loss) of arrays per seed that has any."""
    curves = []
    for trace in traces:
        points = [(trace.lr[e.step - 1], e.values["val_loss"]) for e in trace.evaluations if "val_loss" in e.values]
        if points:
            lr, loss = np.asarray(points).T
            curves.append((lr, loss))
    return curves
