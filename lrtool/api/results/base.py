"""What every result can do: say its answer, be a table or a plot, show itself in a notebook, be saved."""

from __future__ import annotations

import shutil
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lrtool.api.results.html import page
from lrtool.errors import UsageError
from lrtool.report.pictures import waiting
from lrtool.runs.atomic import output_error
from lrtool.runs.summary import read_summary
from lrtool.status import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.experiments.session import Session

Row = dict[str, Any]
#: All that a command found, as its own module has it.
F = TypeVar("F")
M = TypeVar("M")


class Shown(ABC):
    """Base of what can be looked at: an answer in words, rows, and a figure."""

    @property
    @abstractmethod
    def answer(self) -> str:
        """What was found, in a sentence."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know besides."""
        return ()

    @abstractmethod
    def rows(self) -> list[Row]:
        """The numbers, a mapping a row; None where one cannot be given."""

    @abstractmethod
    def plot(self) -> Figure:
        """A matplotlib figure."""

    def table(self) -> Any:
        """The rows as a pandas DataFrame; as a list where pandas is not installed."""
        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            return self.rows()
        return pandas.DataFrame(self.rows())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.answer}>"

    def __str__(self) -> str:
        return "\n".join([self.answer, *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        """The answer, the table and the plot, as a notebook shows them."""
        return page(self.answer, self.notes, self.rows(), self.plot())


def in_this_process(made: M | None) -> M:
    """What a command of this process made; UsageError for a result that was loaded."""
    if made is None:
        raise UsageError("this result was read from a folder", remedy="use its `summary`")
    return made


class Result(Shown):
    """A finished command, and the folder that it left: one of its own until it is saved, and gone with the object.

    `summary` has everything that `summary.json` says. `nothing_to_do`: it was to go on with a run that had ended, so
    nothing was trained.
    """

    nothing_to_do = False

    def __init__(self, folder: Path, temporary: Path | None = None) -> None:
        self._folder = folder
        self._temporary = temporary
        self._pictures = waiting()
        if temporary is not None:
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)

    @property
    def folder(self) -> Path | None:
        """The run folder; None as long as the result is not saved."""
        return None if self._temporary is not None else self._folder

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """What the command found, as scripts read it."""
        return read_summary(self._folder / "summary.json")

    @property
    def status(self) -> Status:
        """How the command ended."""
        return Status(self.summary["status"])

    @property
    def reason(self) -> str:
        """Why it did not finish, or has no answer; empty otherwise."""
        return str(self.summary["reason"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the answer."""
        return tuple(str(each) for each in self.summary.get("caveats", self.summary.get("warnings", ())))

    def save(self, folder: str | Path) -> Path:
        """Make `folder` the run folder, with the plots, `metrics.csv`, `summary.json` and the config; gives its path.

        Raises UsageError where something stands there already, OutputError where it cannot be written.
        """
        target = Path(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError("there is something already", where=str(target), remedy="name a new or empty folder")
        try:
            if self._pictures is not None:
                self._pictures.write(self._folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self._folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("run.lock"))
        except OSError as error:
            raise output_error(target, error) from None
        self._folder, self._temporary = target, None
        return target


class LrResult(Result, Generic[F]):
    """A result that suggests an LR; of a command in this process with all that it found.

    `scales`: how many times the suggested LR each parameter group of a user's own optimizer gets. `said`: what to know
    about how the data were read.
    """

    def __init__(
        self,
        folder: Path,
        temporary: Path | None = None,
        session: Session | None = None,
        found: F | None = None,
        scales: Sequence[float] = (),
        said: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, temporary)
        self.session, self.found, self.scales, self.said = session, found, scales, tuple(said)

    def made(self) -> tuple[Session, F]:
        """The command and all that it found, in this process; UsageError for a result that was loaded."""
        return in_this_process(self.session), in_this_process(self.found)

    @property
    def suggested_lr(self) -> float | None:
        """The peak LR; None where the measurements support none: then `reason` says why."""
        found = self.summary.get("suggested_lr")
        return None if found is None else float(found)

    @property
    def interval(self) -> tuple[float, float | None] | None:
        """The LRs between which the best one lies, as `docs/statistics.md` says; an end that is None is open."""
        found = self.summary.get("interval")
        return None if found is None else (found[0], found[1])

    @property
    def lrs(self) -> list[float]:
        """The LR of each parameter group of the optimizer that was tested, in the ratios they had; empty without."""
        lr = self.suggested_lr
        return [] if lr is None else [lr * scale for scale in self.scales]

    def apply(self, optimizer: Any) -> None:
        """Set the suggested LR in a torch optimizer, in proportion in each group, and for its LR schedulers.

        Raises UsageError where there is no suggestion.
        """
        lr = self.suggested_lr
        if lr is None:
            raise UsageError(f"there is no LR to set: {self.reason}", where="apply")
        from lrtool.live.peak import set_peak
        from lrtool.live.wrappers import bare_optimizer

        set_peak(bare_optimizer(optimizer), lr)
