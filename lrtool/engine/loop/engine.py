"""The loop engine: one trial at a time, any model, any device."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from lrtool.engine import rng
from lrtool.engine.device import intra_threads, repeatable
from lrtool.engine.interrupts import deferred_interrupts
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.judging import Best
from lrtool.engine.loop.saving import SaveBudget
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.engine.loop.training import Training
from lrtool.engine.observer import Observer
from lrtool.engine.parallel.ranks import ALONE, Ranks
from lrtool.engine.processes import Train, can_fork, train_in_processes
from lrtool.engine.queue import Queue, WorkQueue
from lrtool.engine.trials import Recipe, Recovery, Trace, Trial
from lrtool.errors import Interrupted, UsageError
from lrtool.status import Status
from lrtool.tasks.base import Task

#: A chunk takes less than so many seconds, so it need not end for a save for which there is no time by then.
_AHEAD = 0.5


@dataclass(frozen=True)
class LoopEngine:
    """Trains trials one after the other, or `workers` of them at a time.

    Hooks get the trial's number first. `checkpoint` receives the state every `checkpoint_every` updates
    (0: never on the way), when a signal stops the run, and at the end. `save_budget` leaves out those on the way for
    which there is no time, but none of those after `checkpoint_at` updates. `resume` holds the checkpoints that trials
    go on from. `best` receives the best weights when a trial ends, `rewound` the state that a trial which diverged
    went back to.

    Several workers are processes with one thread each (one worker does where processes cannot be forked); they share
    the task's data, and there are no hooks then: ValueError if there are.

    `ranks`: the processes that train each trial together, all of which call `run` with the same trials; their first one
    says when to save, and a signal to any of them stops all.

    A signal (SIGINT, SIGTERM) waits for the end of the update, then raises Interrupted; the trace up to
    there goes to the observer. The global random states are afterwards as they were before.
    """

    checkpoint: Callable[[int, Checkpoint], None] | None = None
    checkpoint_every: int = 0
    checkpoint_at: Collection[int] = ()
    save_budget: SaveBudget | None = None
    resume: Mapping[int, Checkpoint] = field(default_factory=dict)
    best: Callable[[int, Best], None] | None = None
    rewound: Callable[[int, Checkpoint, Recovery], None] | None = None
    workers: int = 1
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        if self.workers > 1 and (self.checkpoint or self.resume or self.best or self.rewound):
            raise ValueError(f"hooks are called in the calling process, but got {self.workers} workers; use one")

    def run(self, task: Task, trials: Sequence[Trial], recipe: Recipe, observer: Observer | None = None) -> list[Trace]:
        """Train every trial; traces in the order of the trials.

        Raises TaskError where the user's code fails, UsageError where a batch does not fit the data or a
        checkpoint does not belong to its trial.
        """
        _check_plateau(recipe)
        device = recipe.device
        with deferred_interrupts() as interrupts, rng.preserved(device), repeatable(device):
            train, queue = partial(self._share, task.to(device), recipe), Queue(trials, observer)
            workers = min(self.workers, len(trials)) if can_fork(device) else 1
            if workers > 1:
                train_in_processes(partial(_with_one_thread, train), trials, queue, workers, interrupts)
            else:
                train(queue, interrupts.check)
        return queue.traces

    def _share(self, task: Task, recipe: Recipe, queue: WorkQueue, check: Callable[[], None]) -> None:
        """Train what waits in the queue; `check` raises where the work is to stop."""
        threads = 0  # alike for all models of a task: to see how many takes as long as several updates
        while (waiting := queue.next()) is not None:
            number, trial = waiting
            with closing(Training(task, trial, recipe, keep_best=self.best is not None, ranks=self.ranks)) as training:
                if number in self.resume:
                    training.restore(self.resume[number])
                threads = threads or worthwhile_threads(task, training.model, recipe.device)
                with intra_threads(threads), self._delivered(number, training, queue):
                    self._to_the_end(number, training, queue, check)

    def _to_the_end(self, number: int, training: Training, queue: WorkQueue, check: Callable[[], None]) -> None:
        while training.step < training.trial.steps:
            self._stop_if_asked(number, training, check)
            trace, start, known = training.trace, training.trace.steps, len(training.trace.evaluations)
            every = self.checkpoint_every if self._may_save(training, _AHEAD) else 0
            alive = training.advance(every, self.checkpoint_at)
            queue.recorded(number, trace, start)
            if alive:
                training.evaluate_if_due()
                if len(trace.evaluations) > known:
                    queue.evaluated(number, trace.evaluations[-1])
            if not alive or trace.status is Status.DIVERGED:
                if not self._recovered(number, training, queue):
                    return
                continue
            training.keep_if_good()
            self._checkpoint_if_due(number, training)
        training.trace.status = Status.FINISHED

    def _recovered(self, number: int, training: Training, queue: WorkQueue) -> bool:
        """Whether a trial that diverged goes on."""
        recovery = training.recover()
        if recovery is None:
            return False
        queue.rewound(number, training.trace)
        if self.rewound is not None and (self.ranks.writes or self.ranks.sharded):
            self.rewound(number, training.snapshot(), recovery)
        return True

    def _stop_if_asked(self, number: int, training: Training, check: Callable[[], None]) -> None:
        stop: BaseException | None = None
        try:
            check()
        except KeyboardInterrupt as asked:
            stop = asked
        signum = self.ranks.most(getattr(stop, "signum", signal.SIGINT) if stop is not None else 0)
        if signum or stop is not None:
            self._save(number, training)
            raise stop or Interrupted(signum)

    def _checkpoint_if_due(self, number: int, training: Training) -> None:
        surely = training.step == training.trial.steps or training.step in self.checkpoint_at
        due = self.checkpoint_every and training.step % self.checkpoint_every == 0
        if surely or (due and self._may_save(training)):
            self._save(number, training)

    def _may_save(self, training: Training, ahead: float = 0.0) -> bool:
        """Whether there is time to save on the way, `ahead` seconds from now."""
        return bool(self.ranks.first(self.save_budget is None or self.save_budget.allows(training.size, ahead)))

    def _save(self, number: int, training: Training) -> None:
        # One that cannot be gone on with is none: the one before stays the newest.
        if self.checkpoint is None or not training.sound:
            return
        # Of copies one is enough; shards are brought together by all.
        if not (self.ranks.writes or self.ranks.sharded):
            return
        with self.save_budget.spending() if self.save_budget is not None else contextlib.nullcontext():
            self.checkpoint(number, training.snapshot())

    @contextlib.contextmanager
    def _delivered(self, number: int, training: Training, queue: WorkQueue) -> Iterator[None]:
        """However a trial ends, its trace up to there is delivered."""
        try:
            yield
        except BaseException as error:
            trace, start = training.trace, training.trace.steps
            stopped = isinstance(error, KeyboardInterrupt)
            training.give_up(Status.INTERRUPTED if stopped else Status.FAILED, str(error))
            queue.recorded(number, trace, start)
            queue.ended(number, trace)
            raise
        if self.best is not None and training.best is not None:
            self.best(number, training.best)
        queue.ended(number, training.trace)


def _with_one_thread(train: Train, queue: WorkQueue, check: Callable[[], None]) -> None:
    with intra_threads(1):
        train(queue, check)


def _check_plateau(recipe: Recipe) -> None:
    if recipe.plateau is not None and not recipe.eval_every:
        raise UsageError(
            "a plateau follows evaluations, but there is none before the end",
            where="train.eval_every",
            remedy="write eval_every: 1ep",
        )
