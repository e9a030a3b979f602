"""One training run under the config's schedule."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch

from lrtool.engine.loop import checkpoint
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.judging import Best
from lrtool.engine.loop.saving import SaveBudget
from lrtool.engine.observer import Observer
from lrtool.engine.trials import GRAD_NORMS, Recipe, Recovery, Trace, Trial
from lrtool.experiments.concluding import concluded, so_far
from lrtool.experiments.observers import ObserverFactory, Observers
from lrtool.experiments.parallel.conducting import conducted
from lrtool.experiments.recording import MetricsRecorder, known_rows
from lrtool.experiments.resuming.extending import Extension
from lrtool.experiments.resuming.going_on import KEPT_FOLDER, MADE_WITH, Resumed, accept, resumed
from lrtool.experiments.resuming.made_with import made_with
from lrtool.experiments.session import Session, session
from lrtool.experiments.setup import Setup
from lrtool.loggers import Logger, wanted
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import MetricsWriter

#: Updates of a smoke run: enough for an evaluation, a checkpoint and a resume on the way.
SMOKE_STEPS = 6
#: The newest checkpoints that are kept, besides the best weights and those of `KEPT_FOLDER`.
KEPT = 2
#: How often a run that diverges goes back, at half the LR, before it is given up.
RECOVERIES = 5
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


def resume_training(setup: Setup, folder: RunFolder, watch: ObserverFactory, force: bool = False) -> TrainingRun:
    """Go on from a run folder's newest usable checkpoint, in the same folder; the result equals never having stopped.

    Where the run is to be longer or to follow another schedule than before, it goes on on the new curve from the update
    that it has got to. A run that was killed before its first checkpoint begins again. Raises UsageError, and changes
    nothing, where there is no usable checkpoint, none of a run that had finished, its config, code or data were changed
    (unless `force`), another process works on the run, or something in the folder leads out of it.
    """
    with folder.held():
        plan = _Plan.of(setup)
        found = resumed(setup, plan.trial, plan.recipe, folder, force)
        run = _train(plan, folder, watch, accept(found, setup) if found is not None else None)
    return run if found is not None else replace(run, notes=(_BEGUN_AGAIN, *run.notes))


def extend_training(extension: Extension, output: Path, watch: ObserverFactory) -> TrainingRun:
    """Go on from another run's checkpoint in a new run folder, which holds all of it; that run stays as it is."""
    plan = _Plan.of(extension.setup)
    folder = RunFolder.create(output, extension.setup.config.name, "train")
    with folder.held():
        checkpoint.save(folder.checkpoints, extension.start.checkpoint, KEPT)
        return _train(plan, folder, watch, extension.start)


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
        found = replace(saved, details=details)
        return _train(short, folder, watch, Resumed(folder.checkpoints, found, [], ()))


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
            replace(
                setup.recipe,
                eval_every=_every(setup, "eval_every"),
                plateau=setup.config.plateau,
                recoveries=RECOVERIES if train.on_divergence == "restore_and_halve_lr" else 0,
            ),
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
            *GRAD_NORMS * self.recipe.record_grad_norm,
        )

    @property
    def stable(self) -> int | None:
        """Updates after which the LR begins to fall, where it was constant: that checkpoint is kept, to branch off."""
        return self.trial.curves["lr"].stable

    def known(self, found: Resumed | None) -> list[dict[str, float]] | None:
        """The rows that the metrics of a run that goes on have already; None of a new one."""
        if found is None:
            return None
        return known_rows(0, found.trace(self.trial), self.setup.task.batches_per_epoch, self.recipe.accumulate)


def _every(setup: Setup, key: str) -> int:
    duration = getattr(setup.config.train, key)
    return setup.updates(duration, f"train.{key}") if duration.amount else 0


def _train(plan: _Plan, folder: RunFolder, watch: ObserverFactory, found: Resumed | None) -> TrainingRun:
    """Train in a folder, or go on there."""
    setup, done = plan.setup, found.checkpoint.step if found else 0
    new = found.new if found else []
    with session(folder, "train", setup.config, str(plan.recipe.device), plan.loggers) as run:
        began = time.perf_counter()
        run.steps = done
        with folder.metrics(plan.columns, plan.known(found)) as writer:
            engine, recorder = _engine(plan, folder, writer, found, time.perf_counter() - began)
            watched = watch(1, plan.trial.steps, done)
            progress, loggers = _Progress(run), run.tracker.observers(single=True, anew=done if new else None)
            observer = Observers(progress, recorder, watched, *loggers)
            try:
                with closing(observer):
                    (trace,) = conducted(engine).run(setup.task, [plan.trial], plan.recipe, observer)
            except KeyboardInterrupt as stop:
                stop.add_note(f"go on with: lrtool train --resume {folder.path}")
                so_far(setup, plan.recipe, run, progress.recoveries)
                raise
        run.results = {"continued": found.continued if found else []}
        mended = [] if found and found.elsewhere else _mended(writer)
        notes = (*(found.notes if found else ()), *mended, *new, *concluded(setup, plan.recipe, run, trace))
        for note in notes:
            _LOG.info(note)
    return TrainingRun(run, trace, notes)


def _engine(
    plan: _Plan, folder: RunFolder, writer: MetricsWriter, found: Resumed | None, small_file: float
) -> tuple[LoopEngine, MetricsRecorder]:
    """The engine that saves into the folder, and the recorder whose rows go before each checkpoint."""
    recorder = MetricsRecorder(writer, plan.setup.task.batches_per_epoch, plan.recipe.accumulate)
    made: dict[str, Any] = {}
    # Once: it looks at the whole curve.
    stable = plan.stable

    def keep(_: int, state: Checkpoint) -> None:
        # Rows first: a checkpoint must never be ahead of the metrics it will be continued with.
        recorder.settle()
        if not made:
            made.update(made_with(plan.setup))
        state = replace(state, details={**state.details, MADE_WITH: made})
        checkpoint.save(folder.checkpoints, state, KEPT)
        if state.step == stable:
            checkpoint.save(folder.checkpoints / KEPT_FOLDER, state, keep=None)

    def went_back(trial: int, state: Checkpoint, recovery: Recovery) -> None:
        _LOG.warning("%s", recovery)
        for place in (folder.checkpoints, folder.checkpoints / KEPT_FOLDER):
            checkpoint.remove(place, after=state.step)
        keep(trial, state)

    return LoopEngine(
        rewound=went_back,
        checkpoint=keep,
        checkpoint_every=plan.checkpoint_every,
        checkpoint_at=[stable] if stable is not None else [],
        save_budget=SaveBudget(_SAVING, small_file) if plan.sparing else None,
        resume={0: found.checkpoint} if found else {},
        best=lambda _, best: _save_best(folder, best),
    ), recorder


def _mended(writer: MetricsWriter) -> list[str]:
    """What is said of metrics that were damaged."""
    if not writer.mended:
        return []
    return [f"{writer.path.name} was damaged: {writer.mended}; it was written anew from the checkpoint"]


class _Progress(Observer):
    """Keeps the session's step count right however the run ends."""

    def __init__(self, run: Session) -> None:
        self._run = run
        self.recoveries: Sequence[Recovery] = ()

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        self._run.steps, self.recoveries = trace.steps, trace.recoveries

    def rewound(self, trial: int, trace: Trace) -> None:
        self.recorded(trial, trace, 0)

    def ended(self, trial: int, trace: Trace) -> None:
        self._run.steps = trace.steps


def _save_best(folder: RunFolder, best: Best) -> None:
    data = safetensors.torch.save({name: tensor.contiguous() for name, tensor in best.weights.items()})
    folder.write_bytes("checkpoints/best.safetensors", data)
