"""The vector engine: many trials of one task, stacked and trained by one update at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from lrtool.engine import rng
from lrtool.engine.calibration import intra_threads
from lrtool.engine.device import repeatable
from lrtool.engine.interrupts import Interrupts, deferred_interrupts
from lrtool.engine.planning import Plan, Planner
from lrtool.engine.slots import Queue, Worker
from lrtool.engine.stacking import NotStackableError, math_attention, obstacle
from lrtool.engine.trials import Observer, Recipe, Trace, Trial
from lrtool.errors import Interrupted
from lrtool.tasks.base import Task
from lrtool.tasks.failures import guarded

#: Seconds between two looks for a signal while workers train.
_LOOK = 0.2


@dataclass(frozen=True)
class VectorEngine:
    """Trains trials of one task side by side, in stacks; a trial that ends makes room for the next.

    Every trial has its own weights, batches, LR curve, hyperparameters and random stream (dropout): the same
    seed gives the same weights and batches as in the loop engine, and no trial depends on its company.

    `slots`: models in a stack; None measures. `compile`: True or False decides; None compiles the update where
    the updates there are pay for it. Where compiling fails the plain update goes on. `workers`: stacks trained
    at once, each by a thread of its own; None takes what is measured to be fastest. `said` hears, once a call,
    how the trials are trained and why.

    Memory is bounded whatever the number of trials.
    """

    slots: int | None = None
    compile: bool | None = None
    workers: int | None = None
    said: Callable[[str], None] | None = None

    def run(self, task: Task, trials: Sequence[Trial], recipe: Recipe, observer: Observer | None = None) -> list[Trace]:
        """Train every trial; traces in the order of the trials.

        Raises NotStackableError where these settings cannot be stacked, TaskError where the user's code fails.
        """
        if not trials:
            return []
        reason = obstacle(task, recipe)
        if reason is not None:
            raise NotStackableError(reason)
        with (
            deferred_interrupts() as interrupts,
            rng.preserved(recipe.device),
            repeatable(recipe.device),
            math_attention(),
        ):
            there = placed(task, recipe)
            rng.seed_training(trials[0].seed, recipe.device)
            plan = Planner(there, trials, recipe, self.slots, self.compile, self.workers).plan()
            if self.said is not None:
                self.said(plan.reason)
            queue = Queue(trials, observer)
            if plan.workers == 1:
                with intra_threads(plan.threads):
                    _worker(there, recipe, queue, plan).run(interrupts.check)
            else:
                _run_side_by_side(there, recipe, queue, plan, interrupts)
        return queue.traces


def placed(task: Task, recipe: Recipe) -> Task:
    """The task with its data on the recipe's device."""
    with guarded("moving the data to the device", "data"):
        val = task.val.to(recipe.device) if task.val is not None else None
        return replace(task, train=task.train.to(recipe.device), val=val)


def _worker(task: Task, recipe: Recipe, queue: Queue, plan: Plan) -> Worker:
    return Worker(task, recipe, queue, plan.size, plan.random, plan.compiled)


def _run_side_by_side(task: Task, recipe: Recipe, queue: Queue, plan: Plan, interrupts: Interrupts) -> None:
    """Train in several threads; the first error, or a signal, stops them all between two chunks."""
    halted: list[int] = []

    def check() -> None:
        if halted:
            raise Interrupted(halted[0])
        if queue.stopped.is_set():
            raise _Elsewhere("another trial's failure ended the run")

    def work() -> None:
        try:
            with intra_threads(plan.threads):
                _worker(task, recipe, queue, plan).run(check)
        except BaseException:
            queue.stopped.set()
            raise

    with ThreadPoolExecutor(plan.workers, "lrtool") as pool:
        futures = [pool.submit(work) for _ in range(plan.workers)]
        try:
            while wait(futures, timeout=_LOOK, return_when=FIRST_EXCEPTION).not_done and not queue.stopped.is_set():
                interrupts.check()
        except Interrupted as signal:
            halted.append(signal.signum)
            wait(futures)
            raise
    errors = [future.exception() for future in futures]
    real = [error for error in errors if error is not None and not isinstance(error, _Elsewhere)]
    if real:
        raise real[0]


class _Elsewhere(KeyboardInterrupt):
    """A worker stops because another one failed."""
