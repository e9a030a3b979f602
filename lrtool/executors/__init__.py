"""Who does the jobs of a sweep: one executor a file, found by its name."""

from __future__ import annotations

from lrtool.executors.base import Executor, Requirements
from lrtool.scanning import Scanned

__all__ = ["AUTO", "EXECUTORS", "Executor", "Requirements", "asked_for", "check", "names", "unasked"]

#: Every executor by its name.
EXECUTORS: Scanned[Executor] = Scanned(Executor, __name__, "executor")
#: What stands for the executor that is worth it.
AUTO = "auto"


def names() -> tuple[str, ...]:
    """What `--executor` takes."""
    return AUTO, *EXECUTORS.kinds


def check(name: str, where: str | None = None) -> None:
    """UsageError where there is no executor of this name."""
    if name not in names():
        raise EXECUTORS.unknown(name, also=(AUTO,), where=where)


def asked_for(name: str, workers: int | None, requirements: Requirements | None = None) -> Executor | None:
    """The executor of this name, started; None where it is left open."""
    check(name)
    return None if name == AUTO else EXECUTORS[name].start(workers, requirements or Requirements())


def unasked(updates: float, workers: int | None, device: str = "cpu") -> Executor:
    """The executor for so many updates on a device, of those worth it: the one that does most at once.

    It is for where none is asked for. Among equals it is this process, which starts nothing.
    """
    worth = [
        cls.start(workers, Requirements(device=device))
        for cls in EXECUTORS.kinds.values()
        if cls.worth_from is not None and updates >= cls.worth_from
    ]
    return max(worth, key=lambda executor: (executor.workers, executor.in_this_process))
