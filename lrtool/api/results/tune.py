"""The result of a tune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.api.results.base import LrResult, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    # Ruff does not look into the brackets of a base.
    from lrtool.experiments.tune_result import TuneResult  # noqa: F401


class TuneAnswer(LrResult["TuneResult"]):
    """What a tune found: `suggested_lr` with its 95% `interval`, and each schedule at its own best LR.

    `found`: everything as data, of a tune made in this process; `session`: its command.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the LR, and about how the data were read."""
        return (*super().notes, *self.said)

    @property
    def answer(self) -> str:
        """The best LR with its interval and what loss to expect, or why there is none."""
        from lrtool.report.plots.marks import between
        from lrtool.report.plots.style import number

        lr, ends, loss = self.suggested_lr, self.interval, self.summary.get("expected_loss")
        if lr is None or ends is None or ends[1] is None or loss is None:
            return f"no LR can be named: {self.reason}"
        kind = self.rows()[0]["schedule"]
        interval = between((ends[0], ends[1]))
        return f"best peak LR {number(lr)} (95% interval {interval}) under {kind}, expected loss {number(loss)}"

    @property
    def expected_loss(self) -> float | None:
        """The final loss to expect at the suggested LR."""
        found = self.summary.get("expected_loss")
        return None if found is None else float(found)

    def rows(self) -> list[Row]:
        """Each schedule at its own best LR, the best one first."""
        rows: list[Row] = []
        for each in self.summary.get("schedules", ()):
            low, high = each.get("interval") or (None, None)
            rows.append(
                {
                    "schedule": each["name"],
                    "lr": each["suggested_lr"],
                    "low": low,
                    "high": high,
                    "expected_loss": each["expected_loss"],
                    "worse_by": each.get("worse_by"),
                    "reason": each.get("reason"),
                }
            )
        return rows

    def plot(self) -> Figure:
        """Final loss against peak LR."""
        from lrtool.report.plots.tune import draw_tune

        return draw_tune(self._plotted())

    def _plotted(self) -> Any:
        from lrtool.api.results.reading import title_of, trained
        from lrtool.report.plots.tune import TunedCurve, TunePlot

        if self.found is not None:
            from lrtool.experiments.tune_result import plot_of

            return plot_of(self.found, title_of(self._folder))
        trials = trained(self._folder)
        longest = max(each["steps"] for each in trials)
        last = [each for each in trials if each["steps"] == longest]
        losses = [each["train_loss"] if each["val_loss"] is None else each["val_loss"] for each in last]
        low, high = self.summary.get("lower_lr"), self.summary.get("upper_lr")
        within = (float(low), float(high)) if low is not None and high is not None else None
        ends = self.interval
        interval = (ends[0], ends[1]) if ends is not None and ends[1] is not None else None
        rows = self.rows()
        name = rows[0]["schedule"] if len(rows) == 1 else "all schedules"
        lrs, nothing = np.array([each["lr"] for each in last]), np.full(1, np.nan)
        curve = TunedCurve(name, lrs, np.array(losses), lrs[:1], nothing, self.suggested_lr, interval, within)
        return TunePlot(f"{title_of(self._folder)}: final loss against peak LR", self.answer, [curve], self._peers())

    def _peers(self) -> dict[str, float]:
        methods = self.summary.get("methods") or {}
        return {kind: said["lr"] for kind, said in methods.items() if isinstance(said, dict) and said.get("lr")}
