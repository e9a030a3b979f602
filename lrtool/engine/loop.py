"""The loop engine: one trial at a time, any model, any device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from lrtool.engine import rng
from lrtool.engine.checkpoint import Checkpoint
from lrtool.engine.device import repeatable
from lrtool.engine.interrupts import Interrupts, deferred_interrupts
from lrtool.engine.threads import intra_threads, worthwhile_threads
from lrtool.engine.training import Best, Training
from lrtool.engine.trials import Observer, Recipe, Status, Trace, Trial
from lrtool.errors import UsageError
from lrtool.tasks.base import Task
from lrtool.tasks.failures import guarded


@dataclass(frozen=True)
class LoopEngine:
    """Trains trials one after the other.

    Hooks get the trial's number first. `checkpoint` receives the state every `checkpoint_every` updates
    (0: never on the way), when a signal stops the run, and at the end. `resume` holds the checkpoints that
    trials go on from. `best` receives the best weights when a trial ends, `trained` the trained model of a
    trial that finished.

    A signal (SIGINT, SIGTERM) waits for the end of the update, then raises Interrupted; the trace up to
    there goes to the observer. The global random states are afterwards as they were before.
    """

    checkpoint: Callable[[int, Checkpoint], None] | None = None
    checkpoint_every: int = 0
    resume: Mapping[int, Checkpoint] = field(default_factory=dict)
    best: Callable[[int, Best], None] | None = None
    trained: Callable[[int, nn.Module], None] | None = None

    def run(self, task: Task, trials: Sequence[Trial], recipe: Recipe, observer: Observer | None = None) -> list[Trace]:
        """Train every trial, in order.

        Raises TaskError where the user's code fails, UsageError where a batch does not fit the data or a
        checkpoint does not belong to its trial.
        """
        device = recipe.device
        with deferred_interrupts() as interrupts, rng.preserved(device), repeatable(device):
            placed = _placed(task, recipe)
            return [
                self._train(number, placed, trial, recipe, observer, interrupts) for number, trial in enumerate(trials)
            ]

    def _train(
        self,
        number: int,
        task: Task,
        trial: Trial,
        recipe: Recipe,
        observer: Observer | None,
        interrupts: Interrupts,
    ) -> Trace:
        training = Training(task, trial, recipe, keep_best=self.best is not None)
        if number in self.resume:
            training.restore(self.resume[number])
        threads = worthwhile_threads(task, training.model, recipe.device)
        with intra_threads(threads), self._delivered(number, training, observer):
            self._to_the_end(number, training, observer, interrupts)
        return training.trace

    def _to_the_end(self, number: int, training: Training, observer: Observer | None, interrupts: Interrupts) -> None:
        trace = training.trace
        while training.step < training.trial.steps:
            self._stop_if_asked(number, training, interrupts)
            start, known = trace.steps, len(trace.evaluations)
            alive = training.advance(self.checkpoint_every)
            if observer is not None and trace.steps > start:
                observer.recorded(number, trace, start)
            if not alive:
                return
            training.evaluate_if_due()
            if observer is not None and len(trace.evaluations) > known:
                observer.evaluated(number, trace.evaluations[-1])
            self._checkpoint_if_due(number, training)
        trace.status = Status.FINISHED

    def _stop_if_asked(self, number: int, training: Training, interrupts: Interrupts) -> None:
        if interrupts.pending is not None and self.checkpoint is not None:
            self.checkpoint(number, training.snapshot())
        interrupts.check()

    def _checkpoint_if_due(self, number: int, training: Training) -> None:
        at_end = training.step == training.trial.steps
        due = self.checkpoint_every and training.step % self.checkpoint_every == 0
        if self.checkpoint is not None and (due or at_end):
            self.checkpoint(number, training.snapshot())

    @contextlib.contextmanager
    def _delivered(self, number: int, training: Training, observer: Observer | None) -> Iterator[None]:
        """However a trial ends, its trace up to there is delivered."""
        trace = training.trace
        try:
            yield
        except BaseException as error:
            start = trace.steps
            stopped = isinstance(error, KeyboardInterrupt)
            training.give_up(Status.STOPPED if stopped else Status.FAILED, str(error))
            if observer is not None:
                if trace.steps > start:
                    observer.recorded(number, trace, start)
                observer.ended(number, trace)
            raise
        if self.best is not None and training.best is not None:
            self.best(number, training.best)
        if self.trained is not None and trace.status is Status.FINISHED:
            with training.answer():
                self.trained(number, training.model)
        if observer is not None:
            observer.ended(number, trace)


def _placed(task: Task, recipe: Recipe) -> Task:
    """The task with its data on the device, and the recipe checked against it."""
    if recipe.plateau is not None and not recipe.eval_every:
        raise UsageError(
            "a plateau follows evaluations, but there is none before the end",
            where="train.eval_every",
            remedy="write eval_every: 1ep",
        )
    with guarded("moving the data to the device", "data"):
        val = task.val.to(recipe.device) if task.val is not None else None
        return replace(task, train=task.train.to(recipe.device), val=val)
