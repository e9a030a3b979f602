"""The queue that the workers of a call share."""

from __future__ import annotations

import numpy as np

from lrtool.engine.observer import Observer
from lrtool.engine.queue import Queue
from lrtool.engine.trials import Evaluation, Trace
from lrtool.status import Status
from tests.engine.contract import trial


class Notes(Observer):
    """An observer that notes whatever it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def recorded(self, number: int, trace: Trace, start: int) -> None:
        self.told.append(("recorded", number, start))

    def evaluated(self, number: int, evaluation: Evaluation) -> None:
        self.told.append(("evaluated", number, evaluation.step))

    def ended(self, number: int, trace: Trace) -> None:
        self.told.append(("ended", number))


def trace_of(steps: int) -> Trace:
    values = np.zeros(steps)
    return Trace(trial(0, 5, 0.1), Status.FINISHED, values, values, values)


def test_every_trial_is_given_out_once_in_order() -> None:
    trials = [trial(seed, 5, 0.1) for seed in range(3)]
    queue = Queue(trials, None)
    assert [queue.next() for _ in range(4)] == [*enumerate(trials), None]


def test_traces_come_in_the_order_of_the_trials() -> None:
    queue, traces = Queue([trial(seed, 5, 0.1) for seed in range(3)], None), [trace_of(n) for n in range(3)]
    for number in (2, 0, 1):
        queue.ended(number, traces[number])
    assert all(found is given for found, given in zip(queue.traces, traces, strict=True))


def test_the_observer_hears_everything_but_what_brings_nothing_new() -> None:
    notes = Notes()
    queue = Queue([trial(0, 5, 0.1)], notes)
    queue.recorded(0, trace_of(2), 0)
    queue.recorded(0, trace_of(2), 2)
    queue.evaluated(0, Evaluation(2, {"val_loss": 1.0}))
    queue.ended(0, trace_of(2))
    assert notes.told == [("recorded", 0, 0), ("evaluated", 0, 2), ("ended", 0)]
    assert queue.watched and not Queue([], None).watched
