"""What the commands of `lrtool theory` find, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lrtool.api.results.base import Row, Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Found(Protocol):
    """Interface of what a command of `lrtool theory` found."""

    @property
    def answer(self) -> str:
        """In a sentence."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know besides."""

    def rows(self) -> list[dict[str, Any]]:
        """As a table."""

    def document(self) -> dict[str, Any]:
        """As JSON."""

    def plot(self) -> Figure:
        """As a figure."""

    def write(self, folder: Path) -> Any:
        """As files."""


class TheoryAnswer(Shown):
    """What `bound`, `predict`, `backtest` or `refine` found; `found`: everything as data."""

    def __init__(self, found: Found) -> None:
        self.found = found

    @property
    def answer(self) -> str:
        """What was found, in a sentence."""
        return self.found.answer

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed."""
        return tuple(self.found.notes)

    def rows(self) -> list[Row]:
        """The numbers: a row a schedule, a prediction, a run left out, or an update."""
        return self.found.rows()

    def document(self) -> dict[str, Any]:
        """Everything, as the command prints it with `--json`."""
        return self.found.document()

    def plot(self) -> Figure:
        """A matplotlib figure."""
        return self.found.plot()

    def save(self, folder: str | Path) -> None:
        """Write tables, plots and schedules below a folder, as the command does with `--output`."""
        self.found.write(Path(folder))
