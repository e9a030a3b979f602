"""One training run under the config's schedule."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch

from lrtool.engine import rng
from lrtool.engine.loop import checkpoint
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.saving import SaveBudget
from lrtool.engine.loop.training import Best, Training
from lrtool.engine.observer import Observer
from lrtool.engine.trials import Recipe, Trace, Trial
from lrtool.experiments.final import final_and_best
from lrtool.experiments.observers import ObserverFactory, Observers
from lrtool.experiments.parallel.conducting import conducted
from lrtool.experiments.recording import MetricsRecorder
from lrtool.experiments.session import Session, session
from lrtool.experiments.setup import Setup
from lrtool.experiments.validation_time import ValidationTime
from lrtool.loggers import Logger, wanted
from lrtool.report.plots.curves import TrainingPlot, draw_training
from lrtool.report.plots.style import save
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from lrtool.status import Status
from lrtool.tasks.base import Task

#: Updates of a smoke run: enough for an evaluation, a checkpoint and a resume on the way.
SMOKE_STEPS = 6
#: What `checkpoint_every: auto` may take of a run's time.
_SAVING = 0.02
_BEGUN_AGAIN = "there was no checkpoint yet, so the run began again; its results are those of one that never stopped"

_LOG = logging.getLogger("lrtool")


@dataclass(frozen=True)
class TrainingRun:
    """A finished command: its session, what it measured, and what its user should know besides."""

    session: Session
    trace: Trace
    notes: tuple[str, ...] = ()


def run_training(setup: Setup, output: Path, watch: ObserverFactory) -> TrainingRun:
    """Train once under the schedule into a new run folder.

    `watch(trials, steps, done)` makes the observer that shows progress. Raises TaskError where the user's
    code fails and OutputError where the folder cannot be written; what was measured by then is on disk.
    """
    plan = _Plan.of(setup)
    folder = RunFolder.create(output, setup.config.name, "train")
    with folder.held():
        return _train(plan, folder, watch, None)


def resume_training(setup: Setup, folder: RunFolder, watch: ObserverFactory) -> TrainingRun:
    """Go on from a run folder's newest checkpoint, in the same folder; the result equals never having stopped.

    Where the run is to be longer or to follow another schedule than before, it goes on on the new curve from the update
    that it has got to. A run that was killed before its first checkpoint begins again. Raises UsageError where there is
    no usable checkpoint, none of a run that had finished, another process works on the run, or something in the folder
    leads out of it.
    """
    with folder.held():
        newest, plan = _newest(folder), _Plan.of(setup)
        continued = _continued(plan, newest) if newest is not None else []
        run = _train(plan, folder, watch, newest, continued)
    return run if newest is not None else replace(run, notes=(_BEGUN_AGAIN, *run.notes))


def run_smoke(setup: Setup, output: Path, watch: ObserverFactory) -> TrainingRun:
    """A handful of updates through every stage: train, evaluate, checkpoint, resume, plots.

    The schedule is bound to the whole run, so whatever cannot work there is found here.
    """
    plan = _Plan.of(setup)
    steps = min(SMOKE_STEPS, plan.trial.steps)
    half = max(1, steps // 2)
    short = replace(
        plan,
        trial=replace(plan.trial, steps=steps),
        recipe=replace(plan.recipe, eval_every=half),
        checkpoint_every=half,
        sparing=False,
    )
    folder = RunFolder.create(output, setup.config.name, "smoke")
    with folder.held():
        _train(replace(short, trial=replace(short.trial, steps=half)), folder, watch, None)
        saved = checkpoint.load(folder.checkpoints)
        details = {**saved.details, "trial": {**saved.details["trial"], "steps": steps}}
        return _train(short, folder, watch, replace(saved, details=details))


@dataclass(frozen=True)
class _Plan:
    """What will be trained and how, all durations in updates.

    `sparing`: a checkpoint for which there is no time is left out.
    """

    setup: Setup
    trial: Trial
    recipe: Recipe
    checkpoint_every: int
    sparing: bool
    loggers: tuple[Logger, ...] = ()

    @classmethod
    def of(cls, setup: Setup) -> _Plan:
        train = setup.config.train
        auto = train.checkpoint_every == "auto"
        return cls(
            setup,
            setup.trial(setup.config.seed, setup.config.optimizer.lr),
            replace(setup.recipe, eval_every=_every(setup, "eval_every"), plateau=setup.config.plateau),
            setup.updates_per_epoch if auto else _every(setup, "checkpoint_every"),
            sparing=auto,
            loggers=wanted(setup.config.logging),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """What `metrics.csv` holds between `train_loss` and `seconds`."""
        task = self.setup.task
        val = ["val_loss", *(f"val_{name}" for name in task.metrics)] if task.val is not None else []
        return (
            *val,
            *(name for name in self.trial.curves if name != "lr"),
            *["grad_norm"] * self.recipe.record_grad_norm,
        )


def _every(setup: Setup, key: str) -> int:
    duration = getattr(setup.config.train, key)
    return setup.updates(duration, f"train.{key}") if duration.amount else 0


def _train(
    plan: _Plan, folder: RunFolder, watch: ObserverFactory, resumed: Checkpoint | None, continued: Sequence[str] = ()
) -> TrainingRun:
    """Train in a folder; `continued`: what was said each time the run went on on another curve."""
    setup, done = plan.setup, resumed.step if resumed else 0
    new = continued[len(resumed.details.get("continued", ())) :] if resumed else ()
    with session(folder, "train", setup.config, str(plan.recipe.device), plan.loggers) as run:
        began = time.perf_counter()
        with folder.metrics(plan.columns, resume_at=done if resumed else None) as writer:
            small_file = time.perf_counter() - began
            recorder = MetricsRecorder(writer, setup.task.batches_per_epoch, plan.recipe.accumulate)

            def keep(_: int, state: Checkpoint) -> None:
                # Rows first: a checkpoint must never be ahead of the metrics it will be continued with.
                recorder.settle()
                checkpoint.save(folder.checkpoints, state)

            engine = LoopEngine(
                checkpoint=keep,
                checkpoint_every=plan.checkpoint_every,
                save_budget=SaveBudget(_SAVING, small_file) if plan.sparing else None,
                resume={0: resumed} if resumed else {},
                best=lambda _, best: _save_best(folder, best),
            )
            watched = watch(1, plan.trial.steps, done)
            observer = Observers(
                _Progress(run), recorder, watched, *run.tracker.observers(single=True, anew=done if new else None)
            )
            try:
                with closing(observer):
                    (trace,) = conducted(engine).run(setup.task, [plan.trial], plan.recipe, observer)
            except KeyboardInterrupt as stop:
                stop.add_note(f"go on with: lrtool train --resume {folder.path}")
                raise
        run.results = {"continued": continued}
        notes = (*new, *_concluded(plan, run, trace))
        for note in notes:
            _LOG.info(note)
    return TrainingRun(run, trace, notes)


def _concluded(plan: _Plan, run: Session, trace: Trace) -> tuple[str, ...]:
    """Put what was found into the summary and the plots; gives what is to be said of it."""
    setup, folder = plan.setup, run.folder
    run.status, run.reason = trace.status, trace.reason
    validation = ValidationTime.of(trace, plan.recipe.eval_every)
    higher = setup.task.higher_is_better
    found = final_and_best(folder, plan.recipe.best, higher.get(plan.recipe.best, False))
    run.results = {**found, "higher_is_better": higher, "units": setup.task.units, **run.results}
    run.results["validation_share"] = validation.share
    plot = TrainingPlot.of(read_metrics(folder.path / "metrics.csv"), setup.config.name)
    save(draw_training(plot), folder, "curves")
    return (*_in_units(setup.task), *validation.notes(setup.config.train.eval_every))


def _continued(plan: _Plan, newest: Checkpoint) -> list[str]:
    """What is to be said of going on; UsageError, before anything in the folder changes, where it cannot be."""
    with rng.preserved(plan.recipe.device):
        training = Training(plan.setup.task.to(plan.recipe.device), plan.trial, plan.recipe)
        training.restore(newest)
    return training.continued


def _in_units(task: Task) -> tuple[str, ...]:
    """What the values of the metrics are measured in, where the target was standardised."""
    if task.unit is None or not task.units or task.val is None:
        return ()
    sizes = ", ".join(f"{scale:,.5g}" for scale in task.unit.scale[:4]) + (" …" if len(task.unit.scale) > 4 else "")
    names = ", ".join(f"{name} [{unit}]" for name, unit in task.units.items())
    return (f"in the target's own unit: {names}; losses are of the standardised target, of which 1 is {sizes}",)


def _newest(folder: RunFolder) -> Checkpoint | None:
    """The newest checkpoint; None where a run had none yet when it was killed or failed."""
    finished = (folder.path / "summary.json").exists() and folder.summary()["status"] == Status.FINISHED
    if checkpoint.latest(folder.checkpoints) is None and not finished:
        return None
    return checkpoint.load(folder.checkpoints)


class _Progress(Observer):
    """Keeps the session's step count right however the run ends."""

    def __init__(self, run: Session) -> None:
        self._run = run

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        self._run.steps = trace.steps

    def ended(self, trial: int, trace: Trace) -> None:
        self._run.steps = trace.steps


def _save_best(folder: RunFolder, best: Best) -> None:
    data = safetensors.torch.save({name: tensor.contiguous() for name, tensor in best.weights.items()})
    folder.write_bytes("checkpoints/best.safetensors", data)
