"""Jobs as elements of Slurm's job arrays, whose results come through files that all machines see."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Self

from lrtool.errors import Interrupted
from lrtool.executors import versions
from lrtool.executors.base import Executor, J, R, Requirements, Rest, Work, WorkError, logged, whole
from lrtool.executors.local import cores
from lrtool.executors.parcel import Parcel, Serve
from lrtool.executors.slurm_cluster import SlurmCluster

#: Array elements at once where nobody says how many, and for each of them parcels of jobs: the last ones should end
#: together, but every one takes seconds to start.
_USUAL, _PARCELS = 16, 4
#: Seconds between two looks at what has come.
_LOOK = 0.5


class SlurmArrays(Executor):
    """Does jobs in parcels, each an element of a job array, submitted with submitit.

    A job that is preempted or reaches its time limit is requeued, and goes on with what it had not reported. One that
    is lost is submitted again. Elements do not outlive the driver for long: they end when it does not show itself.
    """

    name: ClassVar[str] = "slurm"
    does: ClassVar[str] = "job arrays under Slurm (see docs/cluster.md)"
    elsewhere: ClassVar[bool] = True
    shares_files: ClassVar[bool] = True

    def __init__(self, workers: int | None, requirements: Requirements) -> None:
        self._workers = workers or (cores() if requirements.imitation else _USUAL)
        self._needs, self._cluster = requirements, SlurmCluster(requirements, self._workers)

    @classmethod
    def start(cls, workers: int | None, requirements: Requirements) -> Self:
        """With so many array elements at once."""
        return cls(workers, requirements)

    @property
    def workers(self) -> int:
        """Array elements at once."""
        return self._workers

    def run(
        self,
        work: Work[J, R],
        jobs: Sequence[J],
        report: Callable[[R], None],
        lost: Callable[[J, str], None],
        rest: Rest[J, R] = whole,
    ) -> None:
        """Do every job."""
        waiting, running = deque(self._parcels(jobs)), list[tuple[Parcel, Any]]()
        with self._cluster.spool() as spool:
            serve = Serve(versions.here(), self._needs.packages, work, rest, spool.alive)
            try:
                while waiting or running:
                    Interrupted.check()
                    room = self._cluster.most_submitted - len(running)
                    some = [waiting.popleft() for _ in range(min(room, len(waiting)))]
                    running += zip(some, spool.submit(serve, some), strict=True)
                    time.sleep(_LOOK)
                    spool.show_alive()
                    for pair in list(running):
                        if self._over(*pair, report):
                            running.remove(pair)
                            waiting.extend(_again(pair[0], self._needs.retries, lost, rest))
            finally:
                self._cluster.cancel([job for _, job in running])

    def _parcels(self, jobs: Sequence[Any]) -> Iterator[Parcel]:
        size = max(1, math.ceil(len(jobs) / (_PARCELS * self._workers)))
        for first in range(0, len(jobs), size):
            yield Parcel(tuple(jobs[first : first + size]))

    def _over(self, parcel: Parcel, job: Any, report: Callable[[Any], None]) -> bool:
        """Take what a parcel says; whether it is over, done or lost."""
        # Asked first: whatever it said before its end is there then.
        ended = self._cluster.ended(job)
        for kind, number, content in parcel.new():
            if kind == "results":
                parcel.results[number] += content
                for result in content:
                    report(result)
            elif kind == "done":
                parcel.done.add(number)
            elif kind == "error":
                raise WorkError(content)
            elif kind == "unfit":
                raise self._cluster.unfit(content)
        if ended and not parcel.is_done and self._cluster.is_unseen(parcel):
            raise self._cluster.unseen(job)
        return ended or parcel.is_done


def _again(parcel: Parcel, retries: int, lost: Callable[[Any, str], None], rest: Rest[Any, Any]) -> Iterator[Parcel]:
    """What is to be submitted again of a parcel that is over; the job at which it ended too often is lost."""
    jobs, progressed = parcel.left(rest)
    if not jobs:
        return
    losses = 1 if progressed else parcel.losses + 1
    logged("a Slurm job ended before it was done; %d of its jobs are submitted again", len(jobs))
    if losses > retries:
        lost(jobs[0], f"its Slurm job ended {losses} times without getting on: memory or time may have run out")
        jobs, losses = jobs[1:], 0
    if jobs:
        yield Parcel(tuple(jobs), losses=losses)
