"""The curves of a comparison: the mean loss of each variant with its band, and the learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.statistics.comparison import Statistic
from lrtool.analysis.statistics.ranks import median
from lrtool.analysis.statistics.student import estimate
from lrtool.comparison.variants import Variant, loss_curve
from lrtool.report.plots.axes import BAD, from_zero, is_wide, set_limits
from lrtool.report.plots.lettering import label, legend_below, titled
from lrtool.report.plots.schedule import steps_below
from lrtool.report.plots.style import INK, PALETTE, look, metric_name, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Variants that one figure can tell apart; the best ones are drawn.
MOST_DRAWN = len(PALETTE)
_POINTS = 300


@dataclass(frozen=True)
class Band:
    """A variant's loss over updates: `step`, `mean` (or median), `low`, `high` all (points,).

    The band is NaN with too few seeds: one, or of medians fewer than 6. `lr_step`, `lr`: its learning rate, of its
    first seed. `seeds` that did not diverge are averaged.
    """

    name: str
    seeds: int
    step: Array
    mean: Array
    low: Array
    high: Array
    lr_step: Array
    lr: Array


@dataclass(frozen=True)
class OverlayPlot:
    """The curves of the best variants, best first; `loss` is whose, `left_out` counts variants not drawn."""

    title: str
    answer: str
    loss: str
    bands: tuple[Band, ...]
    left_out: int = 0
    statistic: Statistic = "mean"

    @classmethod
    def of(
        cls,
        title: str,
        answer: str,
        variants: Sequence[Variant],
        loss: str = "val_loss",
        statistic: Statistic = "mean",
    ) -> Self:
        """From variants in order of their rank."""
        bands = tuple(_band(variant, loss, statistic) for variant in variants[:MOST_DRAWN])
        return cls(title, answer, loss, bands, max(0, len(variants) - MOST_DRAWN), statistic)


@styled
def draw_overlay(plot: OverlayPlot) -> Figure:
    """Loss with bands above, learning rate below, over a common step axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 6.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _loss_axis(above, plot)
    for place, band in enumerate(plot.bands):
        _draw_band(above, band, place, len(plot.bands))
        below.plot(band.lr_step, band.lr, lw=1.4, zorder=3 - place / 10, **look(place))
    _lr_axis(below, plot)
    steps_below(below)
    figure.align_ylabels([above, below])
    more = f"; {plot.left_out} worse variants are not drawn" if plot.left_out else ""
    legend_below(figure, [above], f"{plot.statistic} and 95% interval over seeds{more}", most=3)
    titled(figure, plot.title, plot.answer)
    return figure


def _draw_band(axes: Axes, band: Band, place: int, count: int) -> None:
    low, high = axes.get_ylim()
    seeds = f"{band.seeds} seed{'' if band.seeds == 1 else 's'}"
    away = ", above the picture" if len(band.mean) and band.mean.min() > high else ""
    name, marker = label(f"{band.name} ({seeds}{away})"), "o" if len(band.step) == 1 else None
    axes.plot(band.step, band.mean, label=name, marker=marker, zorder=3 - place / 10, **look(place))  # the best on top
    if (band.mean <= high).any():
        # An interval may reach below 0, where a log axis has no place: it ends at the lower edge.
        ends = np.clip(band.low, low, None), np.clip(band.high, low, None)
        axes.fill_between(band.step, *ends, color=look(place)["color"], alpha=0.4 / (2 + count), lw=0)


def _band(variant: Variant, loss: str, statistic: Statistic) -> Band:
    """Mean (or median) and interval over seeds on a common grid, which ends where the first seed ends."""
    curves = [loss_curve(outcome, loss) for outcome in variant.outcomes.values() if not outcome.diverged]
    curves = [(step, values) for step, values in curves if len(step)]
    first = next(iter(variant.outcomes.values())).curve
    lr_step, lr = first.get("step", np.empty(0)), first.get("lr", np.empty(0))
    if not curves:
        nothing = np.empty(0)
        return Band(variant.name, 0, nothing, nothing, nothing, nothing, lr_step, lr)
    grid = _grid(curves)
    table = np.array([np.interp(grid, step, values) for step, values in curves])
    columns = [median(column) if statistic == "median" else estimate(column) for column in table.T]
    middle = np.array([column.mean for column in columns])
    ends = np.array([column.interval or (math.nan, math.nan) for column in columns])
    return Band(variant.name, len(curves), grid, middle, ends[:, 0], ends[:, 1], lr_step, lr)


def _grid(curves: Sequence[tuple[Array, Array]]) -> Array:
    start, end = max(step[0] for step, _ in curves), min(step[-1] for step, _ in curves)
    steps = np.unique(np.concatenate([step for step, _ in curves]))
    steps = steps[(steps >= start) & (steps <= end)]
    if not len(steps):
        return np.array([end])
    few: Array = steps[np.linspace(0, len(steps) - 1, min(len(steps), _POINTS)).astype(int)]
    return few


def _loss_axis(axes: Axes, plot: OverlayPlot) -> None:
    """Log where the loss falls far; what starts or explodes far above the rest leaves at the top."""
    axes.set_ylabel(metric_name(plot.loss))
    curves = [band.mean for band in plot.bands if len(band.mean)]
    if not curves:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no seed has a finite loss", transform=axes.transAxes, ha="center", color=INK)
        return
    means = np.concatenate(curves)
    low, high = float(means.min()), float(np.quantile(means, 0.98))
    if low > 0:
        high = min(high, max(float(curves[0].max()), BAD * low))
    set_limits(axes.yaxis, low, high, log=is_wide(low, high))


def _lr_axis(axes: Axes, plot: OverlayPlot) -> None:
    """From 0, or log where the peaks lie so far apart that the lower ones would not be seen."""
    axes.set_ylabel("learning rate")
    peaks = [float(band.lr.max()) for band in plot.bands if len(band.lr)]
    if peaks and is_wide(min(peaks), max(peaks), 8.0):
        set_limits(axes.yaxis, min(peaks) / BAD, max(peaks), log=True, below=0, ticks=4)
    else:
        from_zero(axes, min((float(band.lr.min()) for band in plot.bands if len(band.lr)), default=0.0))
