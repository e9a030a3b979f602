"""What a task's code calls while it runs."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable

import pytest
import torch

from lrtool.engine.vector.proof.watching import Calls


def reads_the_clock() -> float:
    return time.perf_counter()


def draws() -> float:
    return random.random()


def seeds_torch() -> None:
    torch.default_generator.manual_seed(0)


def system() -> bytes:
    return os.urandom(2)


def harmless() -> float:
    return float(torch.ones(3).sum())


def watched(function: Callable[[], object]) -> Calls:
    state = random.getstate(), torch.get_rng_state()
    try:
        with Calls() as calls:
            function()
    finally:
        random.setstate(state[0])
        torch.set_rng_state(state[1])
    return calls


def line(function: Callable[[], object]) -> str:
    code = function.__code__  # type: ignore[attr-defined]
    return f"{code.co_filename}:{code.co_firstlineno + 1}"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (reads_the_clock, "reads the clock (perf_counter)"),
        (system, "draws from the operating system (urandom)"),
        (seeds_torch, "handles torch's random generator (manual_seed)"),
    ],
)
def test_what_gives_another_answer_each_time_is_noted_with_its_line(function: Callable[[], object], says: str) -> None:
    assert watched(function).outside == {says: line(function)}


def test_the_line_that_draws_from_python_is_noted() -> None:
    calls = watched(draws)
    assert calls.drawing == line(draws) and not calls.outside


def test_code_that_ran_is_noted_and_harmless_code_is_harmless() -> None:
    calls = watched(harmless)
    assert harmless.__code__ in calls.ran and not calls.outside and calls.drawing is None


def test_a_profiler_that_was_there_is_put_back() -> None:
    heard: list[str] = []

    def profiler(frame: object, event: str, called: object) -> None:
        heard.append(event)

    before = sys.getprofile()
    sys.setprofile(profiler)
    try:
        watched(harmless)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(before)
