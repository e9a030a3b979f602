"""A clock that stands still while other programs have the processor.

On an idle machine it goes as a wall clock does; on a busy one a piece of work takes about the same on it.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

#: Seconds that others, for whom a thread waited, had themselves to wait for a processor; by thread.
_ELSEWHERE = threading.local()
#: Nanoseconds that a thread ran, and those that it waited to run (Documentation/scheduler/sched-stats.rst).
_STATISTICS = Path("/proc/thread-self/schedstat")

#: How often two clocks are read until both were read in one go.
_TRIES = 20
#: Calls that are timed, at least and at most, and the seconds after which the least are enough.
_LEAST_CALLS, _MOST_CALLS, _CALLED = 2, 8, 0.1


def worked() -> float:
    """Seconds since some moment in which the calling thread did not wait for a processor.

    What it waits for itself (a device, a disk, its children) counts. Where the kernel does not say how long a thread
    stood in the queue (anywhere but on Linux) this is the wall clock.
    """
    queued = _queued()
    for _ in range(_TRIES):
        now, before, queued = time.perf_counter(), queued, _queued()
        if queued == before:
            break  # nobody came between the two clocks
    return now - queued - getattr(_ELSEWHERE, "seconds", 0.0)


def since(moment: float) -> float:
    """Seconds of `worked` since a moment, at least 0: on a crowded machine more may be left out than passed."""
    return max(0.0, worked() - moment)


def timed(once: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the device's work included."""
    settle(device)
    began = worked()
    once()
    settle(device)
    return since(began)


def best_time(once: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the best of a few; where one takes long, of as few as that is worth."""
    best, spent = math.inf, 0.0
    for number in range(_MOST_CALLS):
        if number >= _LEAST_CALLS and spent > _CALLED:
            break
        seconds = timed(once, device)
        spent += seconds
        best = min(best, seconds)
    return best


def settle(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    match device.type:
        case "cuda":
            torch.cuda.synchronize(device)
        case "mps":
            torch.mps.synchronize()


@contextmanager
def programs() -> Iterator[None]:
    """Inside, other programs (a compiler) are run: they work for no longer than they, and this process, compute."""
    began, computed = worked(), _computed()
    yield
    _leave_out(since(began) - (_computed() - computed))


def waited_for(children: Sequence[tuple[float, float]]) -> None:
    """The calling thread waited for children, who say how long each lived, and `worked`, by this clock.

    Had none of them waited, the last one would have ended when the busiest did.
    """
    if children:
        _leave_out(max(lived for lived, _ in children) - max(work for _, work in children))


class Others:
    """Others work while the calling thread waits: from now on only that counts which they did."""

    def __init__(self) -> None:
        self._began, self._left_out = worked(), 0.0

    def did(self, seconds: float) -> None:
        """They have worked for so many seconds by now, in all; told again and again, the clock is right on the way."""
        waited = max(0.0, since(self._began) + self._left_out - seconds)
        _ELSEWHERE.seconds = getattr(_ELSEWHERE, "seconds", 0.0) + waited - self._left_out
        self._left_out = waited


def _leave_out(seconds: float) -> None:
    _ELSEWHERE.seconds = getattr(_ELSEWHERE, "seconds", 0.0) + max(0.0, seconds)


def _computed() -> float:
    """Seconds of processor time of this process and of the children that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _queued() -> float:
    """Seconds that the calling thread was ready, and others ran."""
    try:
        return int(_STATISTICS.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
