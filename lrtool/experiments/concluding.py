"""What a training leaves besides its metrics: its summary, its plots, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from lrtool.engine.trials import Recipe, Recovery, Trace
from lrtool.errors import LrtoolError
from lrtool.experiments.final import final_and_best
from lrtool.experiments.session import Session
from lrtool.experiments.setup import Setup
from lrtool.experiments.validation_time import ValidationTime
from lrtool.report.plots.curves import TrainingPlot, draw_training
from lrtool.report.plots.style import save
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from lrtool.tasks.base import Task


def concluded(setup: Setup, recipe: Recipe, run: Session, trace: Trace) -> tuple[str, ...]:
    """Put what was found into the summary and the plots; gives what is to be said of it."""
    folder = run.folder
    run.status, run.reason = trace.status, trace.reason
    validation = ValidationTime.of(trace, recipe.eval_every)
    higher = setup.task.higher_is_better
    found = final_and_best(folder, recipe.best, higher.get(recipe.best, False), trace)
    run.results = {**found, "higher_is_better": higher, "units": setup.task.units, **run.results}
    run.results["validation_share"] = validation.share
    run.results["loss"] = setup.task.loss_said
    if trace.fault is not None:
        run.results["diverged_at"] = asdict(trace.fault)
    run.results |= _went_back(recipe, trace.recoveries)
    _draw(setup, folder, trace.recoveries)
    return (*map(str, trace.recoveries), *_in_units(setup.task), *validation.notes(setup.config.train.eval_every))


def so_far(setup: Setup, recipe: Recipe, run: Session, recoveries: Sequence[Recovery]) -> None:
    """The plot and the losses of a run that was stopped; a second signal, or a full disk, may do without."""
    with suppress(LrtoolError, KeyboardInterrupt):
        higher = setup.task.higher_is_better
        run.results = final_and_best(run.folder, recipe.best, higher.get(recipe.best, False))
        run.results |= {"higher_is_better": higher, "units": setup.task.units, **_went_back(recipe, recoveries)}
        _draw(setup, run.folder, recoveries)


def _went_back(recipe: Recipe, recoveries: Sequence[Recovery]) -> dict[str, Any]:
    """What the summary of a run says that may go back."""
    return {"recoveries": [asdict(each) for each in recoveries]} if recipe.recoveries else {}


def _draw(setup: Setup, folder: RunFolder, recoveries: Sequence[Recovery] = ()) -> None:
    halved = [each.restored for each in recoveries]
    plot = TrainingPlot.of(read_metrics(folder.path / "metrics.csv"), setup.config.name, halved=halved)
    save(draw_training(plot), folder, "curves")


def _in_units(task: Task) -> tuple[str, ...]:
    """What the values of the metrics are measured in, where the target was standardised."""
    if task.unit is None or not task.units or task.val is None:
        return ()
    sizes = ", ".join(f"{scale:,.5g}" for scale in task.unit.scale[:4]) + (" …" if len(task.unit.scale) > 4 else "")
    names = ", ".join(f"{name} [{unit}]" for name, unit in task.units.items())
    return (f"in the target's own unit: {names}; losses are of the standardised target, of which 1 is {sizes}",)
