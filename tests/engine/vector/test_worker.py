"""A worker: trials come from the queue into slots, and every one is delivered whatever happens."""

from __future__ import annotations

import pytest

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.queue import Queue
from lrtool.engine.trials import Recipe, Trial
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
