"""A worker: trials come from the queue into slots, and every one is delivered whatever happens."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.queue import Queue
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.compiling import Compiled, traced
from lrtool.engine.vector.skeleton import skeleton_of
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import Update, first_rows
from lrtool.engine.vector.worker import Worker
from lrtool.optimizers import KINDS
from lrtool.status import Status
from lrtool.tasks.base import Task
from tests.engine.contract import small_task, trial

RECIPE = Recipe(KINDS["sgd"](lr=0.1), eval_every=5)


def nothing() -> None:
    """Called between chunks."""


def trials() -> list[Trial]:
    return [trial(seed, steps, 0.1) for seed, steps in ((0, 12), (1, 3), (2, 7), (3, 12), (1, 5))]


def assert_as_by_the_loop(queue: Queue) -> None:
    for got, alone in zip(queue.traces, LoopEngine().run(small_task(), trials(), RECIPE), strict=True):
        assert got.status is Status.FINISHED
        assert got.train_loss == pytest.approx(alone.train_loss, rel=1e-4)
        assert [each.step for each in got.evaluations] == [each.step for each in alone.evaluations]


def test_more_trials_than_slots_are_all_trained_as_by_the_loop() -> None:
    queue = Queue(trials(), None)
    Worker(small_task(), RECIPE, queue, 2, random=False, compiled=None).run(nothing)
    assert_as_by_the_loop(queue)


def test_an_interrupt_between_chunks_delivers_what_there_is() -> None:
    queue, looks = Queue(trials(), None), []

    def interrupted() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Worker(small_task(), RECIPE, queue, 2, random=False, compiled=None).run(interrupted)
    found = [trace.status for trace in queue.traces]
    assert Status.INTERRUPTED in found and len(found) < 5, "those that waited still wait"


def test_an_error_is_the_reason_of_what_was_in_training() -> None:
    queue = Queue(trials(), None)

    def fails() -> None:
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="disk"):
        Worker(small_task(), RECIPE, queue, 2, random=False, compiled=None).run(fails)
    assert {(trace.status, trace.reason) for trace in queue.traces} == {(Status.FAILED, "the disk is full")}


@pytest.mark.parametrize("most, error", [(3, torch.OutOfMemoryError("CUDA out of memory")), (1, MemoryError())])
def test_where_memory_runs_out_half_as_many_go_on_and_the_others_wait(monkeypatch, caplog, most, error) -> None:
    update = Update.__call__

    def limited(self, source, state, rows, hyperparameters):
        # In the middle of a chunk too: what was done before counts.
        if len(state.steps) > most and int(state.steps.max()) >= 2:
            raise error
        return update(self, source, state, rows, hyperparameters)

    monkeypatch.setattr(Update, "__call__", limited)
    caplog.set_level("INFO", "lrtool")
    queue = Queue(trials(), None)
    Worker(small_task(), RECIPE, queue, 5, random=False, compiled=None).run(nothing)
    assert "memory ran out with 5 models at a time; 2 from here on" in caplog.text
    assert_as_by_the_loop(queue)


def test_one_model_for_which_there_is_no_memory_fails(monkeypatch) -> None:
    def never(self, *given):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Update, "__call__", never)
    queue = Queue(trials(), None)
    with pytest.raises(torch.OutOfMemoryError):
        Worker(small_task(), RECIPE, queue, 4, random=False, compiled=None).run(nothing)
    # Those that were set aside are delivered too.
    assert [trace.status for trace in queue.traces] == [Status.FAILED] * 4


def in_place(task: Task, size: int, calls: Callable[[int], None]) -> Compiled:
    """A compiled update as the compiler makes them: it changes the stack as it goes. `calls` hears of each call."""
    skeleton, count = skeleton_of(task, RECIPE.device), itertools.count(1)
    update = Update(task, RECIPE, skeleton, random=False)
    rows = first_rows(task, RECIPE, size)
    graph = traced(update, Stack(skeleton, RECIPE, size), task.train, RECIPE.per_update, rows)

    def function(given: Sequence[Tensor]) -> Any:
        number = next(count)
        calls(number)
        found = graph.module(*given)
        calls(-number)
        return found

    return Compiled(function, size, 0.0)


#: A call of the compiled update, and with a minus its end, when the stack has been changed already.
@pytest.mark.parametrize("at", [1, -1, 2, -3, 5, -7])
def test_a_compiled_stack_for_which_memory_runs_out_goes_on_uncompiled(caplog, at) -> None:
    def runs_out(number: int) -> None:
        if number == at:
            raise torch.OutOfMemoryError("CUDA out of memory")

    caplog.set_level("INFO", "lrtool")
    queue = Queue(trials(), None)
    Worker(small_task(), RECIPE, queue, 4, random=False, compiled=in_place(small_task(), 4, runs_out)).run(nothing)
    assert "memory ran out with a compiled stack" in caplog.text and "; 2 from here on" in caplog.text
    assert_as_by_the_loop(queue)


def test_a_compiled_stack_of_which_no_copy_can_be_kept_goes_on_uncompiled(monkeypatch, caplog) -> None:
    copied, left = Stack.copied, [3]

    def limited(self):
        left[0] -= 1
        if not left[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return copied(self)

    monkeypatch.setattr(Stack, "copied", limited)
    caplog.set_level("INFO", "lrtool")
    queue = Queue(trials(), None)
    Worker(small_task(), RECIPE, queue, 4, random=False, compiled=in_place(small_task(), 4, abs)).run(nothing)
    assert "memory ran out with a compiled stack" in caplog.text
    assert_as_by_the_loop(queue)


def test_what_else_breaks_a_compiled_stack_is_said() -> None:
    def breaks(number: int) -> None:
        if number == 2:
            raise ZeroDivisionError

    queue = Queue(trials(), None)
    with pytest.raises(ZeroDivisionError):
        Worker(small_task(), RECIPE, queue, 4, random=False, compiled=in_place(small_task(), 4, breaks)).run(nothing)
    assert {trace.status for trace in queue.traces} == {Status.FAILED}
