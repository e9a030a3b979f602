"""What every executor is: something that does jobs, with what a sweep needs to know of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from lrtool.errors import UsageError

if TYPE_CHECKING:
    from lrtool.executors.baggage import Baggage

J = TypeVar("J")
R = TypeVar("R")

#: Does one job and hands each of its results to the function that it is given, as soon as it has it.
Work = Callable[[J, Callable[[R], None]], None]
#: What of a job is not done yet, given the results that it has reported: the job itself where that is all of it, None
#: where it is nothing. A function of a module, which other processes can import.
Rest = Callable[[J, Sequence[R]], J | None]


def whole(job: J, results: Sequence[R]) -> J | None:
    """The rest of a job of which no part can be done alone: all of it."""
    return job


@dataclass(frozen=True)
class Requirements:
    """What jobs need that are done on other machines, and how to get there. This machine's executors need nothing.

    `cpus` and `gpus` of each job; one that lost its worker is begun again up to `retries` times without getting any
    part of it done. `baggage`: the user's own files that travel with the jobs. `packages`: what workers must be able
    to import. `address`: of the cluster. `imitation`: act as if this machine were one. `folder`: where files that both
    sides see may lie. `slurm`: options of `sbatch`. `device`: what the trials are trained on, as the config names it.
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    retries: int = 5
    packages: tuple[str, ...] = ()
    baggage: Baggage | None = None
    imitation: bool = False
    folder: Path = Path("outputs")
    slurm: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    device: str = "cpu"


class Executor(ABC):
    """Does jobs, several at a time or one after the other, in any order.

    A class with a `name` in a file of this package is an executor that `--executor` takes; whatever is large is
    imported inside its methods, for `lrtool --help` imports the file. It is closed when no more jobs will come.
    """

    #: What `--executor` calls it, and what it says of it in a few words.
    name: ClassVar[str]
    does: ClassVar[str]
    #: Whether jobs are done one by one in the calling process, so that a job has all its cores.
    in_this_process: ClassVar[bool] = False
    #: Updates from which it is worth starting where no executor is asked for; None: it must be asked for.
    worth_from: ClassVar[int | None] = None
    #: Whether jobs are done on other machines, which have neither this one's files nor its devices.
    elsewhere: ClassVar[bool] = False
    #: Whether those machines see the same folders as this one.
    shares_files: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def start(cls, workers: int | None, requirements: Requirements) -> Self:
        """One with so many workers, as `--workers` asks for; None: as many as it thinks best.

        Raises UsageError where it cannot be had, or not with these requirements.
        """

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
        rest: Rest[J, R] = whole,
    ) -> None:
        """Do every job once.

        `report` gets each result, in the calling thread, soon after `work` gave it. `lost` gets a job whose process
        died, and how; what it had reported stays, and the other jobs go on. Where a process may die for no fault of its
        job, `rest` of the job is done by another one first, a few times. What `work` or `report` raises ends everything
        and is raised here, as is a KeyboardInterrupt; no process is left behind. `work`, jobs and results must be
        picklable.
        """

    def close(self) -> None:
        """Let go of what it holds."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class WorkError(RuntimeError):
    """What a job raised in another process: its traceback, as text."""


def logged(text: str, *values: object) -> None:
    """Say something in the log of the run."""
    # `lrtool --help`, which imports this file, needs no log.
    import logging

    logging.getLogger("lrtool").info(text, *values)


def moved(job: Any, places: Mapping[str, str]) -> Any:
    """A job with the files that it names where they are now; a job that names none is what it was."""
    return job.moved(places) if places and hasattr(job, "moved") else job


def too_much(needs: Requirements, key: str, most: float, there: str, otherwise: str) -> UsageError:
    """The error of a job that asks for more than any machine has; `there` and `otherwise` say where, and what to do."""
    wanted, name = getattr(needs, key), key[:-1].upper()
    if most > 0:
        remedy = f"write cluster: {{{key}: {most:g}}} or less"
    elif needs.device.startswith("cuda"):
        remedy = "write device: cpu"
    else:
        remedy = f"write cluster: {{{key}: 0}}"
    return UsageError(
        f"each group of trials asks for {wanted:g} {name}{'s' * (wanted > 1)}, but {there} {most:g}",
        where=f"cluster.{key}",
        remedy=f"{remedy}, or {otherwise}",
    )
