"""The clock that stands still while other programs have the processor."""

from __future__ import annotations

import time

import pytest

from lrtool.engine import clock


def test_it_goes_while_this_thread_works_or_sleeps() -> None:
    began = clock.worked()
    time.sleep(0.05)
    assert clock.worked() - began > 0.04


def test_it_stands_still_while_others_have_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_queued", lambda: 0.0)
    began = clock.worked()
    monkeypatch.setattr(clock, "_queued", lambda: 100.0)
    assert clock.worked() - began == pytest.approx(-100, abs=1)


def test_where_the_kernel_does_not_say_it_is_the_wall_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(clock, "_STATISTICS", tmp_path)
    assert clock._queued() == 0.0


def test_a_compiler_works_for_no_longer_than_it_computes() -> None:
    began = clock.worked()
    with clock.programs():
        time.sleep(0.5)  # as if it had to wait for a processor
    assert clock.worked() - began < 0.4


def test_children_that_had_to_wait_are_waited_for_only_as_long_as_they_work() -> None:
    began = clock.worked()
    clock.waited_for([(30.0, 2.0), (20.0, 3.0)])
    assert clock.worked() - began == pytest.approx(-27.0, abs=1)
    clock.waited_for([])
