"""Jobs one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Self

from lrtool.executors.base import Executor, J, R, Requirements, Rest, Work, whole


class InProcess(Executor):
    """Does one job at a time, here; an engine may use all cores for it."""

    name: ClassVar[str] = "in-process"
    does: ClassVar[str] = "one job after the other, here"
    in_this_process: ClassVar[bool] = True
    worth_from: ClassVar[int | None] = 0

    @classmethod
    def start(cls, workers: int | None, requirements: Requirements) -> Self:
        """The only one there is: a process does one job at a time, whatever is asked for."""
        return cls()

    @property
    def workers(self) -> int:
        """This process."""
        return 1

    def run(
        self,
        work: Work[J, R],
        jobs: Sequence[J],
        report: Callable[[R], None],
        lost: Callable[[J, str], None],
        rest: Rest[J, R] = whole,
    ) -> None:
        """Do every job; nothing can be lost that this process survives."""
        for job in jobs:
            work(job, report)
