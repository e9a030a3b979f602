"""The result of a range test."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.api.results.base import LrResult, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    # Ruff does not look into the brackets of a base.
    from lrtool.analysis.range_test_result import LrEstimate, RangeTestResult  # noqa: F401
    from lrtool.report.plots.range_test import RangeTestPlot

_ROWS = (
    ("starts to fall", "lower_lr", None),
    ("suggested peak LR", "suggested_lr", "interval"),
    ("does not blow up until", "stability_limit", "stability_interval"),
    ("one update raises the loss at", "critical_lr", "critical_interval"),
    ("starts to explode", "upper_lr", None),
)


class RangeTestAnswer(LrResult["RangeTestResult"]):
    """What an LR range test found: `suggested_lr`, its `interval`, and the LRs between which the loss falls.

    `found`: everything as arrays and estimates, of a test made in this process; `session`: its command.
    """

    @property
    def answer(self) -> str:
        """The suggestion with its interval, or why there is none."""
        from lrtool.report.plots.marks import between
        from lrtool.report.plots.style import number

        lr, ends = self.suggested_lr, self.interval
        if lr is None or ends is None:
            return f"no suggestion: {self.reason}"
        high = np.inf if ends[1] is None else ends[1]
        return (
            f"suggested peak LR {number(lr)} ({between((ends[0] or 0.0, high))}), from {self.summary['suggested_from']}"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the suggestion, and about how the data were read."""
        left_out = self.summary.get("left_out") or ()
        cut = [f"left out to stay within the budget: {'; '.join(left_out)}"] * bool(left_out)
        return (*super().notes, *cut, *self.said)

    @property
    def stability_limit(self) -> float | None:
        """The LR up to which training is stable at a constant LR; None where that was not found."""
        found = self.summary.get("stability_limit")
        return None if found is None else float(found)

    @property
    def critical_lr(self) -> float | None:
        """The LR at which one of the optimizer's own updates begins to raise the loss; None where none does."""
        found = self.summary.get("critical_lr")
        return None if found is None else float(found)

    def rows(self) -> list[Row]:
        """The LRs that were found, each with its interval where it has one."""
        rows: list[Row] = []
        for name, key, ends in _ROWS:
            low, high = (self.summary.get(ends) if ends else None) or (None, None)
            rows.append({"what": name, "lr": self.summary.get(key), "low": low, "high": high})
        return rows

    def plot(self) -> Figure:
        """Loss against LR, with what was found."""
        from lrtool.report.plots.range_test import draw_range_test

        return draw_range_test(self.plotted())

    def plotted(self) -> RangeTestPlot:
        """The data of the plot, from the run folder."""
        from lrtool.api.results.reading import read_probes, read_range_test, title_of, validation_along
        from lrtool.report.plots.range_test import RangeTestPlot

        if self.found is not None:
            return RangeTestPlot.of(self.found, title_of(self._folder), validation_along(self._folder, self.found))
        result = read_range_test(self._folder)
        said = self.summary
        plot = RangeTestPlot.of(result, title_of(self._folder), validation_along(self._folder, result))
        return replace(
            plot,
            suggestion=estimate(said.get("suggested_lr"), said.get("interval")),
            stability=estimate(said.get("stability_limit"), said.get("stability_interval")),
            critical=estimate(said.get("critical_lr"), said.get("critical_interval")),
            source=str(said.get("suggested_from") or ""),
            reason=self.reason,
            caveats=list(super().notes),
            left_out=list(said.get("left_out") or ()),
            probes=read_probes(self._folder),
        )


def estimate(lr: Any, ends: Any) -> LrEstimate | None:
    """An estimate as a summary says it; None where it has none."""
    from lrtool.analysis.range_test_result import LrEstimate

    if lr is None:
        return None
    low, high = ends or (lr, lr)
    return LrEstimate.around(float(lr), float(low or 0.0), np.inf if high is None else float(high))
