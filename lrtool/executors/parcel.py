"""Several jobs that one element of a job array does, and how it does them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrtool.executors import versions
from lrtool.executors.base import Rest, Work
from lrtool.executors.outbox import Outbox

#: Seconds after which a driver that does not show itself is taken for dead.
GONE_AFTER = 900.0
#: Seconds after which it is looked for again, where a job says nothing.
_LOOK = 60.0


@dataclass
class Parcel:
    """Jobs, what they reported, and how often they were lost since one of them last got on."""

    jobs: tuple[Any, ...]
    losses: int = 0
    results: dict[int, list[Any]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    outbox: Outbox | None = None

    def __post_init__(self) -> None:
        self.results = {number: [] for number in range(len(self.jobs))}

    @property
    def is_done(self) -> bool:
        """Whether every job of it is."""
        return len(self.done) == len(self.jobs)

    def new(self) -> Iterator[tuple[str, int, Any]]:
        """What it has said since this was last asked."""
        return self.outbox.new() if self.outbox is not None else iter(())

    def left(self, rest: Rest[Any, Any]) -> tuple[list[Any], bool]:
        """What of its jobs is not done, and whether any of them got on."""
        pairs = [(job, self._rest(number, rest)) for number, job in enumerate(self.jobs)]
        return [left for _, left in pairs if left is not None], any(left is not job for job, left in pairs)

    def _rest(self, number: int, rest: Rest[Any, Any]) -> Any:
        return None if number in self.done else rest(self.jobs[number], self.results[number])


class Serve:
    """Does the jobs of a parcel on a node, and goes on with what is left of them after it was requeued."""

    def __init__(
        self, expected: versions.Found, packages: Sequence[str], work: Work[Any, Any], rest: Rest[Any, Any], alive: Path
    ) -> None:
        self._expected, self._packages = expected, tuple(packages)
        self._work, self._rest, self._alive = work, rest, alive

    def __call__(self, jobs: Sequence[Any], folder: Path) -> None:
        """Do them, one after the other."""
        outbox = Outbox(folder)
        before = Parcel(tuple(jobs), outbox=Outbox(folder))
        for kind, number, content in before.new():
            if kind == "results":
                before.results[number] += content
            elif kind == "done":
                before.done.add(number)
        outbox.put(("began", 0, None))
        why = versions.unfit(self._expected, self._packages)
        if why:
            outbox.put(("unfit", 0, why))
            return
        driver = _Driver(self._alive)
        for number, job in enumerate(jobs):
            left = None if number in before.done else self._rest(job, before.results[number])
            if left is not None and not self._do(number, left, outbox, driver):
                return

    def checkpoint(self, jobs: Sequence[Any], folder: Path) -> Any:
        """What submitit requeues when the scheduler wants the node: the same, which finds out what is left."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, jobs, folder)

    def _do(self, number: int, job: Any, outbox: Outbox, driver: _Driver) -> bool:
        """Do a job; whether somebody still waits for the next one."""
        from lrtool.executors.streaming import streamed

        for kind, content in streamed(self._work, job, _LOOK):
            if driver.is_gone:
                return False
            if kind != "beat":
                outbox.put((kind, number, content))
            if kind == "error":
                return False
        return True


class _Driver:
    """Whether the driver still shows itself, by a file that it touches; clocks of machines may differ."""

    def __init__(self, alive: Path) -> None:
        self._alive, self._seen, self._at = alive, -1.0, time.monotonic()

    @property
    def is_gone(self) -> bool:
        """Whether it has not shown itself for long, or has taken its folder away."""
        seen = -1.0
        with contextlib.suppress(OSError):
            seen = self._alive.stat().st_mtime
        if seen < 0:
            return True
        if seen != self._seen:
            self._seen, self._at = seen, time.monotonic()
        return time.monotonic() > self._at + GONE_AFTER
