"""What the commands of `lrtool theory` find, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.results.base import Row, Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.report.theory.bound import BoundRanking


class BoundAnswer(Shown):
    """Schedules ranked by their convergence bound; `found`: everything as data."""

    def __init__(self, found: BoundRanking) -> None:
        self.found = found

    @property
    def answer(self) -> str:
        """Which schedule has the least bound, and how its best LR compares."""
        return self.found.answer

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed."""
        return self.found.notes

    def rows(self) -> list[Row]:
        """A row for each schedule, the least bound first, with ratios to the one that was given first."""
        return self.found.rows()

    def document(self) -> dict[str, Any]:
        """Everything, as `lrtool theory bound --json` prints it."""
        return self.found.document()

    def plot(self) -> Figure:
        """The curves at their best peaks, and the bound over time."""
        return self.found.plot()

    def save(self, folder: str | Path) -> Path:
        """Write bound.png, .svg and .csv into a folder; gives its path."""
        self.found.write(Path(folder))
        return Path(folder)
