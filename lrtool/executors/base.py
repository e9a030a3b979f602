"""What every executor is: something that does jobs, with what a sweep needs to know of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Self, TypeVar

J = TypeVar("J")
R = TypeVar("R")

#: Does one job and hands each of its results to the function that it is given, as soon as it has it.
Work = Callable[[J, Callable[[R], None]], None]


class Executor(ABC):
    """Does jobs, several at a time or one after the other, in any order.

    A class with a `name` in a file of this package is an executor that `--executor` takes; whatever is large is
    imported inside its methods, for `lrtool --help` imports the file.
    """

    #: What `--executor` calls it, and what it says of it in a few words.
    name: ClassVar[str]
    does: ClassVar[str]
    #: Whether jobs are done one by one in the calling process, so that a job has all its cores.
    in_this_process: ClassVar[bool] = False
    #: Updates from which it is worth starting where no executor is asked for; None: it must be asked for.
    worth_from: ClassVar[int | None] = None

    @classmethod
    @abstractmethod
    def start(cls, workers: int | None) -> Self:
        """One with so many workers, as `--workers` asks for; None: as many as it thinks best."""

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many jobs are done at once, and share what a sweep has to do at a time."""

    @abstractmethod
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
