"""Jobs one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lrtool.executors.base import J, R, Work


@dataclass(frozen=True)
class InProcess:
    """Does one job at a time, here; an engine may use all cores for it."""

    workers: int = 1

    def run(
        self, work: Work[J, R], jobs: Sequence[J], report: Callable[[R], None], lost: Callable[[J, str], None]
    ) -> None:
        """Do every job; nothing can be lost that this process survives."""
        for job in jobs:
            work(job, report)
