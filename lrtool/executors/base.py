"""One interface for everything that does jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

J = TypeVar("J")
R = TypeVar("R")

#: Does one job and hands each of its results to the function that it is given, as soon as it has it.
Work = Callable[[J, Callable[[R], None]], None]


class Executor(Protocol):
    """Does jobs, several at a time or one after the other, in any order."""

    @property
    def workers(self) -> int:
        """How many jobs are done at once."""

    def run(
        self,
        work: Work[J, R],
        jobs: Sequence[J],
        report: Callable[[R], None],
        lost: Callable[[J, str], None],
    ) -> None:
        """Do every job once.

        `report` gets each result, in the calling thread, soon after `work` gave it. `lost` gets a job whose process
        died, and how; what it had reported stays, and the other jobs go on. What `work` or `report` raises ends
        everything and is raised here, as is a KeyboardInterrupt; no process is left behind. `work`, jobs and results
        must be picklable.
        """


class WorkError(RuntimeError):
    """What a job raised in another process: its traceback, as text."""
