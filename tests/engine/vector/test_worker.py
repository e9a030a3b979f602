"""A worker: trials come from the queue into slots, and every one is delivered whatever happens."""

from __future__ import annotations

import pytest
import torch

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.queue import Queue
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.update import Update
from lrtool.engine.vector.worker import Worker
from lrtool.optimizers import KINDS
from lrtool.status import Status
from tests.engine.contract import small_task, trial

RECIPE = Recipe(KINDS["sgd"](lr=0.1), eval_every=5)


def nothing() -> None:
    """Called between chunks."""


def trials() -> list[Trial]:
    return [trial(seed, steps, 0.1) for seed, steps in ((0, 12), (1, 3), (2, 7), (3, 12), (1, 5))]


def test_more_trials_than_slots_are_all_trained_as_by_the_loop() -> None:
    queue = Queue(trials(), None)
    Worker(small_task(), RECIPE, queue, 2, random=False, compiled=None).run(nothing)
    expected = LoopEngine().run(small_task(), trials(), RECIPE)
    for got, alone in zip(queue.traces, expected, strict=True):
        assert got.status is Status.FINISHED
        assert got.train_loss == pytest.approx(alone.train_loss, rel=1e-4)
        assert [each.step for each in got.evaluations] == [each.step for each in alone.evaluations]


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
    for got, alone in zip(queue.traces, LoopEngine().run(small_task(), trials(), RECIPE), strict=True):
        assert got.status is Status.FINISHED
        assert got.train_loss == pytest.approx(alone.train_loss, rel=1e-4)
        assert [each.step for each in got.evaluations] == [each.step for each in alone.evaluations]


def test_one_model_for_which_there_is_no_memory_fails(monkeypatch) -> None:
    def never(self, *given):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Update, "__call__", never)
    queue = Queue(trials(), None)
    with pytest.raises(torch.OutOfMemoryError):
        Worker(small_task(), RECIPE, queue, 4, random=False, compiled=None).run(nothing)
    # Those that were set aside are delivered too.
    assert [trace.status for trace in queue.traces] == [Status.FAILED] * 4
