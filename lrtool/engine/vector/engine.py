"""The vector engine: many trials of one task, stacked and trained by one update at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from lrtool.engine import rng
from lrtool.engine.device import intra_threads, math_attention, repeatable
from lrtool.engine.interrupts import Interrupts, deferred_interrupts
from lrtool.engine.observer import Observer
from lrtool.engine.processes import LOOK, Halt, Train, can_fork, raise_first, train_in_processes
from lrtool.engine.queue import Queue, WorkQueue
from lrtool.engine.trials import Recipe, Trace, Trial
from lrtool.engine.vector.obstacles import NotStackableError, obstacle
from lrtool.engine.vector.plan import Plan, StackPlanner
from lrtool.engine.vector.worker import Worker
from lrtool.tasks.base import Task


@dataclass(frozen=True)
class VectorEngine:
    """Trains trials of one task side by side, in stacks; a trial that ends makes room for the next.

    Every trial has its own weights, batches, LR curve, hyperparameters and random stream (dropout): the same
    seed gives the same weights and batches as in the loop engine, and no trial depends on its company.

    `slots`: models in a stack; None measures. `compile`: True or False decides; None compiles the update where
    the updates there are pay for it. Where compiling fails the plain update goes on. `workers`: stacks trained
    at once, each by a process of its own (a thread where processes cannot be forked); None takes what is measured
    to be fastest. `planned` gets the plan, once a call: how the trials are trained, and why.

    Memory is bounded whatever the number of trials.
    """

    slots: int | None = None
    compile: bool | None = None
    workers: int | None = None
    planned: Callable[[Plan], None] | None = None

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
            there = task.to(recipe.device)
            rng.seed_training(trials[0].seed, recipe.device)
            plan = StackPlanner(there, trials, recipe, self.slots, self.compile, self.workers).plan()
            if self.planned is not None:
                self.planned(plan)
            queue = Queue(trials, observer)
            train = partial(_train, there, recipe, plan)
            if plan.workers == 1:
                train(queue, interrupts.check)
            elif can_fork(recipe.device):
                train_in_processes(train, trials, queue, plan.workers, interrupts)
            else:
                _run_in_threads(train, queue, plan, interrupts)
        return queue.traces


def _train(task: Task, recipe: Recipe, plan: Plan, queue: WorkQueue, check: Callable[[], None]) -> None:
    with intra_threads(plan.threads):
        Worker(task, recipe, queue, plan.size, plan.random, plan.compiled).run(check)


def _run_in_threads(train: Train, queue: Queue, plan: Plan, interrupts: Interrupts) -> None:
    """The same in threads, where processes cannot be forked."""
    halt = Halt()

    def work() -> None:
        try:
            train(queue, halt.check)
        except BaseException:
            halt.set()
            raise

    with ThreadPoolExecutor(plan.workers, "lrtool") as pool:
        futures = [pool.submit(work) for _ in range(plan.workers)]
        while wait(futures, timeout=LOOK).not_done:
            if interrupts.pending is not None:
                halt.set(interrupts.pending)
    interrupts.check()
    raise_first([error for future in futures if (error := future.exception()) is not None])
