"""Jobs as tasks of a Ray cluster, which may lose workers and nodes while they run."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, Self

from lrtool.executors import versions
from lrtool.executors.baggage import Manifest, unpacked
from lrtool.executors.base import Executor, J, R, Requirements, Rest, Work, WorkError, logged, moved, whole
from lrtool.executors.ray_cluster import RayCluster

#: Tasks that wait in the cluster for each one that runs, so that no worker waits for the driver.
_AHEAD = 2
#: Seconds between two looks at what has come, and at how large the cluster is.
_LOOK, _COUNT = 1.0, 10.0


class RayTasks(Executor):
    """Does each job as a task of a Ray cluster, wherever there is room; the user's own files travel with it.

    Ray's own retries are off: a task that is begun again would train once more what is recorded. What a lost worker or
    node had not reported is done by another one instead. Tasks die with the driver.
    """

    name: ClassVar[str] = "ray"
    does: ClassVar[str] = "tasks on a Ray cluster (see docs/cluster.md)"
    elsewhere: ClassVar[bool] = True

    def __init__(self, workers: int | None, requirements: Requirements) -> None:
        self._asked, self._needs = workers, requirements
        self._cluster = RayCluster(requirements)
        self._counted, self._count = -math.inf, 1
        self._archive: Any = None

    @classmethod
    def start(cls, workers: int | None, requirements: Requirements) -> Self:
        """On the cluster at an address, or the one that this machine is part of; at most so many tasks at once."""
        return cls(workers, requirements)

    @property
    def workers(self) -> int:
        """Tasks at once: as many as fit on the nodes that there are now, or as asked for."""
        if time.monotonic() > self._counted + _COUNT:
            self._counted, self._count = time.monotonic(), self._cluster.holds()
        return self._asked or max(1, self._count)

    def run(
        self,
        work: Work[J, R],
        jobs: Sequence[J],
        report: Callable[[R], None],
        lost: Callable[[J, str], None],
        rest: Rest[J, R] = whole,
    ) -> None:
        """Do every job."""
        waiting, running = deque(_Attempt(job) for job in jobs), dict[Any, _Attempt]()
        serve = self._task(work)
        try:
            while waiting or running:
                while waiting and len(running) < self.workers * (1 if self._asked else _AHEAD):
                    attempt = waiting.popleft()
                    running[serve(attempt.job)] = attempt
                for stream in self._cluster.ready(list(running), _LOOK):
                    over, why = self._heard(stream, running[stream], report)
                    if over or why:
                        attempt = running.pop(stream)
                    if why:
                        waiting.extendleft(_again(attempt, why, self._needs.retries, lost, rest))
        finally:
            for stream in running:
                self._cluster.cancel(stream)

    def close(self) -> None:
        """Leave the cluster."""
        self._archive = None
        self._cluster.close()

    def _task(self, work: Work[Any, Any]) -> Callable[[Any], Any]:
        """What makes a task of a job."""
        baggage = self._needs.baggage
        if baggage is not None and self._archive is None:
            self._archive = self._cluster.put(baggage.archive)
        # In a list Ray does not fetch it before the task asks for it, which is once on each node.
        sent = None if baggage is None else ([self._archive], baggage.manifest)
        folder = os.getcwd()  # noqa: PTH109  # as text, for other machines
        expected = versions.here()
        return lambda job: self._cluster.submit(_serve, expected, self._needs.packages, sent, folder, work, job)

    def _heard(self, stream: Any, attempt: _Attempt, report: Callable[[Any], None]) -> tuple[bool, str]:
        """Take what a task says next; whether it is over, and how it was lost."""
        kind, content = self._cluster.next(stream)
        if kind == "results":
            for result in content:
                attempt.results.append(result)
                report(result)
        elif kind == "error":
            raise WorkError(content)
        elif kind == "unfit":
            raise self._cluster.unfit(content)
        return kind == "done", content if kind == "lost" else ""


@dataclass
class _Attempt:
    """A job, what it has reported, and how many workers it has lost since it last got a part of it done."""

    job: Any
    results: list[Any] = field(default_factory=list)
    losses: int = 0


def _again(
    attempt: _Attempt, why: str, retries: int, lost: Callable[[Any, str], None], rest: Rest[Any, Any]
) -> Iterator[_Attempt]:
    """What is to be done of a job whose worker was lost; where that happened too often it is lost itself."""
    left = rest(attempt.job, attempt.results)
    if left is None:
        return
    losses = attempt.losses + 1 if left is attempt.job else 1
    logged("%s; what it had not reported is done by another", why)
    if losses > retries:
        lost(left, f"{why}; {losses} workers in a row were lost with it")
    else:
        yield _Attempt(left, losses=losses)


def _serve(
    expected: versions.Found,
    packages: Sequence[str],
    sent: tuple[list[Any], Manifest] | None,
    folder: str,
    work: Work[Any, Any],
    job: Any,
) -> Iterator[tuple[str, Any]]:
    """Do a job on a worker."""
    from lrtool.executors.streaming import streamed

    why = versions.unfit(expected, packages)
    if why:
        yield "unfit", why
        return
    places = _places(*sent) if sent is not None else {}
    there = places.get(folder, folder)
    if os.path.isdir(there):  # noqa: PTH112
        os.chdir(there)
    yield from streamed(work, moved(job, places))


def _places(archive: list[Any], manifest: Manifest) -> dict[str, str]:
    """Where what travelled is on this node."""
    ray: Any = import_module("ray")
    return manifest.places(unpacked(manifest.digest, lambda: bytes(ray.get(archive[0]))))
