"""Signals are held back until it is safe, and never lost."""

from __future__ import annotations

import signal
import threading

import pytest

from lrtool.engine.interrupts import deferred_interrupts
from lrtool.errors import ExitCode, Interrupted


def test_the_first_signal_waits_for_the_check() -> None:
    with pytest.raises(Interrupted) as caught, deferred_interrupts() as interrupts:
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.pending == signal.SIGTERM
        interrupts.check()
        pytest.fail("check must raise")
    assert caught.value.exit_code is ExitCode.TERMINATED
    assert isinstance(caught.value, KeyboardInterrupt)


def test_the_second_signal_does_not_wait() -> None:
    with pytest.raises(Interrupted) as caught, deferred_interrupts():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second must raise")
    assert caught.value.exit_code is ExitCode.INTERRUPTED


def test_a_signal_after_the_last_check_is_raised_on_the_way_out() -> None:
    with pytest.raises(Interrupted), deferred_interrupts() as interrupts:
        interrupts.check()
        signal.raise_signal(signal.SIGINT)


def test_an_error_on_the_way_is_not_hidden_by_a_signal() -> None:
    with pytest.raises(ZeroDivisionError), deferred_interrupts():
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError


def test_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupts() as interrupts:
        assert signal.getsignal(signal.SIGINT) == interrupts._handle
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_the_handlers_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with deferred_interrupts() as interrupts:
            interrupts.check()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no SIGHUP")
def test_a_closed_terminal_stops_as_a_stop_does_unless_it_is_ignored() -> None:
    # The tests themselves may run under nohup.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with pytest.raises(Interrupted) as caught, deferred_interrupts():
            signal.raise_signal(signal.SIGHUP)
        assert caught.value.exit_code == 129
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with deferred_interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.pending is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_that_was_lost_on_its_way_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interrupted, "heard", Interrupted(signal.SIGTERM))
    with pytest.raises(Interrupted), deferred_interrupts() as interrupts:
        interrupts.check()
