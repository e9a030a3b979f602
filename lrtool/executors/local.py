"""Jobs spread over processes of this machine, each with its share of the cores."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lrtool.executors.base import Executor, J, R, Work, WorkError
from lrtool.memory import keep_freed_memory
from lrtool.safe_path import SAFE

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

#: What numerical libraries read, when they are loaded, to know how many threads to use.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalProcesses(Executor):
    """Does as many jobs at once as there are workers (unsaid: cores), each in a fresh process that takes job after job.

    Processes are spawned, not forked: torch and CUDA do not survive a fork. Each uses cores/workers threads,
    and imports nothing from the working folder.
    """

    name: ClassVar[str] = "local"
    does: ClassVar[str] = "several jobs at once, in processes of this machine"
    # Starting a process takes some seconds, so it should have this much to do.
    worth_from: ClassVar[int | None] = 20_000

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or cores()

    @classmethod
    def start(cls, workers: int | None) -> Self:
        """With so many processes; unsaid, one for each core."""
        return cls(workers)

    @property
    def workers(self) -> int:
        """Processes at once."""
        return self._workers

    def run(
        self, work: Work[J, R], jobs: Sequence[J], report: Callable[[R], None], lost: Callable[[J, str], None]
    ) -> None:
        """Do every job."""
        # Not at module level: what lists the executors for `lrtool --help` need not have it.
        from multiprocessing.connection import Connection, wait

        waiting = deque(jobs)
        threads = max(1, cores() // max(1, self.workers))
        crew: dict[Connection, _Worker] = {}
        try:
            while waiting or crew:
                while waiting and len(crew) < self.workers:
                    hired = _Worker(work, threads)
                    crew[hired.connection] = hired
                    hired.give(waiting.popleft())
                for connection in wait(list(crew)):
                    assert isinstance(connection, Connection)
                    worker = crew[connection]
                    if _heard(worker, report, lost):
                        if waiting and worker.alive:
                            worker.give(waiting.popleft())
                        else:
                            worker.dismiss()
                            del crew[connection]
        finally:
            for worker in crew.values():
                worker.kill()


class _Worker:
    """A process, the connection to it, and the job it has."""

    def __init__(self, work: Callable[..., None], threads: int) -> None:
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.job: Any = None
        self.alive = True
        with _environment({**dict.fromkeys(_THREADS, str(threads)), **SAFE}):
            self.process.start()
        theirs.close()

    def give(self, job: Any) -> None:
        """Hand a job over; a process that has died is noticed when it is listened to."""
        self.job = job
        with suppress(OSError):
            self.connection.send(job)

    def dismiss(self) -> None:
        """No more jobs: the process ends by itself."""
        self.connection.close()
        self.process.join()

    def kill(self) -> None:
        """End it now: what it has not reported is done again."""
        self.process.kill()
        self.dismiss()


def _heard(worker: _Worker, report: Callable[[Any], None], lost: Callable[[Any, str], None]) -> bool:
    """Take one message of a worker; whether its job is over."""
    try:
        kind, content = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        worker.alive = False
        lost(worker.job, _death(worker.process.exitcode))
        return True
    if kind == "result":
        report(content)
    elif kind == "error":
        raise WorkError(content)
    return bool(kind == "done")


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        why = ", as happens when memory runs out" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{why}"
    return f"its process ended with code {code}"


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
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
    """A worker's life: job after job, until there are no more, or whoever gives them has gone."""
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ctrl-C reaches every process of a terminal; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            job = connection.recv()
            try:
                work(job, lambda result: connection.send(("result", result)))
            except Exception:
                connection.send(("error", traceback.format_exc()))
                return
            connection.send(("done", None))


def _end_with_parent() -> None:
    """A parent that was killed must not leave processes that go on training for nobody."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
