"""Time limits: how they are written, and that they stop what runs as a signal does."""

from __future__ import annotations

import signal
import time

import pytest

from lrtool.engine.deadline import Deadline, seconds_of
from lrtool.engine.interrupts import deferred_interrupts
from lrtool.errors import ExitCode, Interrupted, UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("55m", 3300), ("1h30m", 5400), ("90", 90), (" 1.5H ", 5400), (".5s", 0.5), ("2d", 172800)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "-5m", "5 m", "m", "1e400h", "5y", "9" * 400 + "d", "inf", "nan", "55m\x1b[31m"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--time-limit: .*write for example 55m"):
        seconds_of(text)


def test_it_stops_what_runs_with_its_reason() -> None:
    deadline = Deadline("0.01s")
    try:
        with pytest.raises(Interrupted, match=r"the time limit of 0\.01s was reached") as stopped:  # noqa: SIM117
            with deferred_interrupts() as interrupts:
                until = time.monotonic() + 20
                while time.monotonic() < until:
                    interrupts.check()
                    time.sleep(0.001)
        assert stopped.value.exit_code is ExitCode.TERMINATED
    finally:
        deadline.call_off()
    assert str(Interrupted(signal.SIGTERM)) == "stopped by signal 15"


def test_one_that_is_called_off_stops_nothing() -> None:
    deadline = Deadline("0.05s")
    deadline.call_off()
    with deferred_interrupts() as interrupts:
        time.sleep(0.1)
        interrupts.check()
