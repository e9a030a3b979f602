"""Jobs spread over processes of this machine, each with its share of the cores."""

from __future__ import annotations

import os
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lrtool.executors.base import Executor, J, R, Requirements, Rest, Work, WorkError, whole
from lrtool.safe_path import SAFE

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from lrtool.children import Child

#: What numerical libraries read, when they are loaded, to know how many threads to use.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
#: What CUDA reads to know which GPUs a process may use.
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus(device: str) -> list[str]:
    """The GPUs that trials on this device may be spread over, as CUDA_VISIBLE_DEVICES names them.

    None where the device is no GPU, or one that is named: then all use that one.
    """
    if device not in ("auto", "cuda"):
        return []
    import torch

    # Counting does not start CUDA in this process.
    count = torch.cuda.device_count()
    visible = [name for name in os.environ.get(_VISIBLE, "").split(",") if name]
    return (visible or [str(index) for index in range(count)])[:count]


class LocalProcesses(Executor):
    """Does as many jobs at once as there are workers, each in a fresh process that takes job after job.

    Unsaid, there are as many as GPUs, or without any as cores. Each process has a GPU of its own, as long as there are
    enough, and cores/workers threads. Processes are spawned, not forked: torch and CUDA do not survive a fork. They
    import nothing from the working folder. Used as a context, they stay for the next jobs until it is left: it takes
    seconds to start one.
    """

    name: ClassVar[str] = "local"
    does: ClassVar[str] = "several jobs at once, in processes of this machine"
    # Starting a process takes some seconds, so it should have this much to do.
    worth_from: ClassVar[int | None] = 20_000

    def __init__(self, workers: int | None = None, on: Sequence[str] = ()) -> None:
        self._gpus = tuple(on)
        self._workers = workers or len(self._gpus) or cores()
        #: The GPU of each process.
        self._places: dict[Child, str] = {}
        #: Processes that wait for the next jobs, and what each of them does.
        self._idle: dict[Child, Work[Any, Any]] = {}
        self._keeps = False

    def __enter__(self) -> Self:
        self._keeps = True
        return self

    def close(self) -> None:
        """End the processes that wait."""
        self._keeps = False
        for child in list(self._idle):
            self._dismiss(child)

    @classmethod
    def start(cls, workers: int | None, requirements: Requirements) -> Self:
        """With so many processes; unsaid, one for each GPU or core."""
        return cls(workers, gpus(requirements.device))

    @property
    def workers(self) -> int:
        """Processes at once."""
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
        # Not at module level: what lists the executors for `lrtool --help` need not have it.
        from lrtool.children import GONE, heard

        waiting = deque(jobs)
        busy: dict[Child, J] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.workers:
                    _give(self._hired(work), waiting.popleft(), busy)
                for child, message in heard(list(busy)):
                    if _over(child, message, busy[child], report, lost):
                        del busy[child]
                        if waiting and message is not GONE:
                            _give(child, waiting.popleft(), busy)
                        elif self._keeps and message is not GONE:
                            self._idle[child] = work
                        else:
                            self._dismiss(child)
        finally:
            # What they have not reported is done again.
            for child in busy:
                child.kill()
                self._places.pop(child, None)

    def _dismiss(self, child: Child) -> None:
        child.dismiss()
        self._idle.pop(child, None)
        self._places.pop(child, None)

    def _hired(self, work: Work[J, R]) -> Child:
        """One that waits, or a new one."""
        for child, does in list(self._idle.items()):
            if does is work and child.process.is_alive():
                del self._idle[child]
                return child
            self._dismiss(child)
        return self._started(work)

    def _started(self, work: Work[J, R]) -> Child:
        from lrtool.children import Child

        taken = list(self._places.values())
        gpu = min(self._gpus, key=taken.count, default=None)
        own = {_VISIBLE: gpu} if gpu is not None else {}
        with environment({**thread_settings(max(1, cores() // max(1, self.workers))), **SAFE, **own}):
            child = Child("spawn", _serve, work)
        if gpu is not None:
            self._places[child] = gpu
        return child


def _give(child: Child, job: J, busy: dict[Child, J]) -> None:
    busy[child] = job
    child.send(job)


def _over(child: Child, message: Any, job: J, report: Callable[[Any], None], lost: Callable[[J, str], None]) -> bool:
    """Take a message of a child; whether its job is over."""
    from lrtool.children import GONE

    if message is GONE:
        lost(job, f"its process {child.fate}{' (SIGKILL): memory may have run out' if child.killed else ''}")
        return True
    kind, content = message
    if kind == "result":
        report(content)
    elif kind == "error":
        raise WorkError(content)
    return bool(kind == "done")


def thread_settings(count: int) -> dict[str, str]:
    """Environment variables by which numerical libraries use so many threads."""
    return dict.fromkeys(_THREADS, str(count))


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that a process started inside inherits."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, work: Callable[[Any, Callable[[Any], None]], None]) -> None:
    """A worker's life: job after job, until there are no more."""
    with suppress(KeyboardInterrupt):
        while True:
            job = connection.recv()
            try:
                work(job, lambda result: connection.send(("result", result)))
            except Exception:
                connection.send(("error", traceback.format_exc()))
                return
            connection.send(("done", None))
