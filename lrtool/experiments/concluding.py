"""What a training leaves besides its metrics: its summary, its plots, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Self

from lrtool.engine.trials import Recipe, Recovery, Trace
from lrtool.errors import LrtoolError
from lrtool.experiments.final import final_and_best
from lrtool.experiments.session import Session
from lrtool.experiments.setup import Setup
from lrtool.report import pictures
from lrtool.report.plots.curves import TrainingPlot, draw_training
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from lrtool.tasks.base import Task
from lrtool.units import Duration

#: More than this is said, and what is proposed instead stays below the other.
_MUCH, _LITTLE = 1 / 3, 0.2
#: How many times as rarely it may be proposed to validate: numbers that people write.
_TIMES = (2, 5, 10, 20, 50, 100, 200, 500, 1000)


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
    pictures.picture(folder, "curves", lambda: draw_training(plot))


def _in_units(task: Task) -> tuple[str, ...]:
    """What the values of the metrics are measured in, where the target was standardised."""
    if task.unit is None or not task.units or task.val is None:
        return ()
    sizes = ", ".join(f"{scale:,.5g}" for scale in task.unit.scale[:4]) + (" …" if len(task.unit.scale) > 4 else "")
    names = ", ".join(f"{name} [{unit}]" for name, unit in task.units.items())
    return (f"in the target's own unit: {names}; losses are of the standardised target, of which 1 is {sizes}",)


@dataclass(frozen=True)
class ValidationTime:
    """Seconds of training and of validation, and the number of validations in so many updates."""

    training: float
    validation: float
    times: int
    steps: int
    every: int

    @classmethod
    def of(cls, trace: Trace, every: int) -> Self:
        """That of a trial that was validated after `every` updates (0: only at the end), the times that it was stopped
        and went on counted."""
        spent = sum(each.seconds for each in trace.evaluations)
        return cls(float(trace.seconds.sum()), spent, len(trace.evaluations), trace.steps, every)

    @property
    def share(self) -> float | None:
        """Validation's part of the time of both; None where there was none."""
        whole = self.training + self.validation
        return self.validation / whole if self.times and whole > 0 else None

    def notes(self, written: Duration) -> tuple[str, ...]:
        """What to say where the share is above a third; `written` is the config's `eval_every`."""
        if self.share is None or self.share <= _MUCH:
            return ()
        return (f"validation took {self.share:.0%} of the time; {self._instead(written)}",)

    def _instead(self, written: Duration) -> str:
        for factor in _TIMES if self.every else ():
            share = self._share_if(factor)
            if factor * self.every < self.steps and share <= _LITTLE:
                rarer = Duration(written.amount * factor, written.unit).written()
                return f"train.eval_every: {rarer} would make it {share:.0%}"
        if self.times > 1:
            at_end = self._share_if(self.times)
            return f"train.eval_every: 0 would validate only after the last update and make it {at_end:.0%}"
        return "a smaller data.val_fraction would make it less"

    def _share_if(self, factor: float) -> float:
        """The share if it had been validated so many times as rarely."""
        rarer = self.validation / factor
        return rarer / (rarer + self.training)
