"""The result of a transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.results.base import LrResult, Row
from lrtool.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    # Ruff does not look into the brackets of a base.
    from lrtool.analysis.search.transfer.extrapolate import Transferred


class TransferAnswer(LrResult["Transferred"]):
    """What a transfer found: `suggested_lr` at the target with its 95% `interval`, the law, and every cell's best LR.

    `settings`: the target, as a training of it takes it (`KEY=VALUE`). `found`: everything as data, of a transfer made
    in this process.
    """

    settings: Sequence[str] = ()

    @property
    def answer(self) -> str:
        """The LR at the target with its interval, or why there is none."""
        return str(self.summary["answer"])

    @property
    def notes(self) -> tuple[str, ...]:
        """The law, its test on the largest measured scale, the loss to expect, and the cost."""
        return (*map(str, self.summary.get("details", ())), *self.said)

    @property
    def law(self) -> str:
        """The law in words; empty where there is none."""
        return str((self.summary.get("law") or {}).get("text", ""))

    @property
    def exponents(self) -> dict[str, float]:
        """The exponent of each key, below the bend where the law has one."""
        found = (self.summary.get("law") or {}).get("exponents", {})
        return {key: float(each["value"]) for key, each in found.items()}

    def rows(self) -> list[Row]:
        """The best LR of every cell that was measured."""
        return [dict(each) for each in self.summary.get("cells", ())]

    def plot(self) -> Figure:
        """The best LRs along each key with the law, and all losses."""
        from lrtool.api.results.reading import title_of
        from lrtool.report.transfer.plot import TransferPlot, draw_transfer

        found = self.found if self.found is not None else _again(self._folder, self.summary)
        return draw_transfer(TransferPlot.of(found, title_of(self._folder)))


def _again(folder: Path, summary: Mapping[str, Any]) -> Transferred:
    """What the points of a run folder say: the same as when it was made."""
    from lrtool.analysis.search.transfer.extrapolate import extrapolate
    from lrtool.experiments.transfer.points_file import read_points

    if not (folder / "points.csv").is_file():
        raise UsageError("the run has no points", where=str(folder), remedy="run the transfer again")
    expected = {key: (mean, deviation) for key, (mean, deviation) in summary.get("expected_exponents", {}).items()}
    passes = summary.get("passes")
    points = read_points(folder / "points.csv")
    return extrapolate(points, summary["target"], expected, passes and (passes[0], passes[1]))
