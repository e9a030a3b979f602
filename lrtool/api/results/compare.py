"""The result of a comparison, and of a sweep, which ends with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.results.base import Result, Row, Shown, in_this_process

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.comparison.result import ComparisonResult
    from lrtool.experiments.session import Session


class CompareAnswer(Shown):
    """What a comparison found: variants from best to worst, with intervals and a verdict.

    `found`: everything as data; `first`: the variant that was given first.
    """

    def __init__(self, found: ComparisonResult, first: str) -> None:
        self.found, self.first = found, first

    @property
    def answer(self) -> str:
        """The verdict."""
        from lrtool.comparison.verdict import verdict

        return verdict(self.found.comparison)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the runs."""
        return tuple(self.found.notes)

    @property
    def best(self) -> str:
        """The variant with the best mean (or median)."""
        return str(self.found.comparison.standings[0].name)

    def rows(self) -> list[Row]:
        """A row for each variant, best first."""
        return self.found.rows()

    def document(self) -> dict[str, Any]:
        """Everything, as `lrtool compare --json` prints it."""
        return self.found.document()

    def plot(self) -> Figure:
        """Final values with their intervals, a row for each variant."""
        from lrtool.report.plots.compare_rows import ForestPlot, draw_forest
        from lrtool.report.plots.style import metric_name

        found, title = self.found, f"{len(self.found.variants)} variants"
        plot = ForestPlot.of(
            f"{title}: {metric_name(found.metric)}", self.answer, found.metric, found.variants, found.comparison
        )
        return draw_forest(plot)

    def save(self, folder: str | Path) -> Path:
        """Write the plots, and all variants as `comparison.csv`, into a folder; gives its path."""
        from lrtool.report.plots.comparison import draw_comparison
        from lrtool.report.terminal.compare import to_csv
        from lrtool.runs.atomic import write_text

        draw_comparison(self.found, Path(folder))
        write_text(Path(folder) / "comparison.csv", to_csv(self.found))
        return Path(folder)


class SweepAnswer(Result):
    """A sweep: its trials, and the comparison of its variants.

    `run`: its command, of a sweep in this process.
    """

    def __init__(self, folder: Path, temporary: Path | None = None, run: Session | None = None) -> None:
        super().__init__(folder, temporary)
        self.run = run

    def made(self) -> Session:
        """The command, in this process; UsageError for a result that was loaded."""
        return in_this_process(self.run)

    def compare(self, **options: Any) -> CompareAnswer:
        """The comparison of its variants, with the options of `lrtool.compare`."""
        from lrtool.api.compare import compare

        return compare([self._folder], **options)

    @property
    def answer(self) -> str:
        """The verdict of the comparison."""
        return self.compare().answer

    def rows(self) -> list[Row]:
        """A row for each trial: its settings, status and final values."""
        from lrtool.runs.sweep.store import read_trials

        return [
            {"trial": each.number, "variant": each.variant, "seed": each.seed, "status": str(each.status),
             **each.settings, **each.values, "reason": each.message}
            for each in read_trials(self._folder)
        ]  # fmt: skip

    def plot(self) -> Figure:
        """The comparison's plot."""
        return self.compare().plot()
