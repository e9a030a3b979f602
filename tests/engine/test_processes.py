"""What processes of one call tell each other; whole trainings in processes are in the engines' tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lrtool.children import Child
from lrtool.engine.processes import Elsewhere, Halt, _lost, _Mirror, _sendable, can_fork, raise_first
from lrtool.errors import Interrupted, TaskError
from tests.engine.contract import trial


def test_the_first_reason_to_stop_stands() -> None:
    halt = Halt()
    halt.check()
    halt.set(15)
    halt.set()
    with pytest.raises(Interrupted) as raised:
        halt.check()
    assert raised.value.signum == 15


def test_another_workers_failure_stops_the_others_and_is_no_error_of_theirs() -> None:
    halt = Halt()
    halt.set()
    with pytest.raises(Elsewhere):
        halt.check()
    raise_first([Elsewhere("elsewhere")])
    with pytest.raises(ValueError, match="mine"):
        raise_first([Elsewhere("elsewhere"), ValueError("mine"), KeyError("later")])


def test_an_error_that_cannot_be_sent_is_told() -> None:
    class UnsendableError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one} of {two}")

    assert str(_sendable(UnsendableError(1, 2))) == "UnsendableError: 1 of 2"
    same = ValueError("plain")
    assert _sendable(same) is same
    mine = TaskError("the model failed")
    assert _sendable(mine) is mine


def test_a_lost_process_says_how_it_ended() -> None:
    def ended(code: int) -> Child:
        child = object.__new__(Child)
        child.process = SimpleNamespace(exitcode=code)
        return child

    assert "killed by signal 9" in str(_lost(ended(-9))) and "ended with code 3" in str(_lost(ended(3)))


def test_a_trace_grows_in_the_parent_as_its_child_reports() -> None:
    mirror = _Mirror(trial(0, 5, 0.1))
    for start, values in ((0, [1.0, 2.0]), (2, [3.0])):
        column = np.array(values)
        mirror.extend(start, {"train_loss": column, "lr": column, "seconds": column, "momentum": 10 * column})
    assert mirror.trace.steps == 3
    assert mirror.trace.train_loss.tolist() == [1.0, 2.0, 3.0]
    assert mirror.trace.recorded["momentum"].tolist() == [10.0, 20.0, 30.0]


def test_nothing_is_forked_beside_an_accelerator() -> None:
    assert not can_fork(torch.device("cuda"))
