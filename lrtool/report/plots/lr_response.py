"""Plots of a comparison over learning rates: a line a variant, and a heat map of LR × variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lrtool.comparison.lr_response import LrResponse
from lrtool.report.plots.axes import BAD, is_wide, set_limits
from lrtool.report.plots.lettering import fitted_apart, label, legend_below, titled, width
from lrtool.report.plots.style import (
    FAINT,
    INK,
    PALETTE,
    log_subs,
    log_ticks,
    look,
    marker,
    metric_name,
    number,
    shortened_apart,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Rows and columns of a heat map that are still read, and cells that have room for a number.
_MOST_ROWS, _MOST_COLUMNS, _MOST_NUMBERS = 30, 60, 160
#: Inches of a name at most.
_NAME = 3.2
#: Part of the axis of a row of crosses.
_CROSSES = 0.035
#: LRs are a grid if variants were trained at this part of all LRs.
_GRID = 0.5


@dataclass(frozen=True)
class LrPlot:
    """The metric over LRs: at most as many variants as can be told apart; `shared`: whether they have LRs in common."""

    title: str
    metric: str
    higher_is_better: bool
    responses: tuple[LrResponse, ...]
    shared: bool
    left_out: int = 0

    @classmethod
    def of(cls, title: str, metric: str, higher_is_better: bool, responses: Sequence[LrResponse]) -> Self:
        """From responses in order of their variants' rank."""
        drawn = tuple(responses[: len(PALETTE)])
        return cls(title, metric, higher_is_better, drawn, _filled(drawn) >= _GRID, len(responses) - len(drawn))

    def best(self, response: LrResponse) -> int | None:
        """The place of the best LR of a response; None where every LR diverged."""
        return _best(response.mean, self.higher_is_better)

    @property
    def answer(self) -> str:
        """The best LR of each variant, in words."""
        parts = []
        names = shortened_apart([response.name for response in self.responses], 30)
        for response, name in zip(self.responses, names, strict=True):
            at = self.best(response)
            best = "every LR diverged" if at is None else f"LR {number(response.lr[at])}{_end(response, at)}"
            parts.append(f"{name}: {best}" if name else best)
        return f"best LR of each: {'; '.join(parts)}" if len(parts) > 1 else f"best: {parts[0]}"


@dataclass(frozen=True)
class HeatPlot:
    """Mean metric by variant and LR: `mean` (variants, LRs), NaN where not trained; `diverged` there, of any seed."""

    title: str
    metric: str
    higher_is_better: bool
    names: tuple[str, ...]
    lr: Array
    mean: Array
    diverged: NDArray[np.bool_]
    left_out: int = 0

    @classmethod
    def of(cls, title: str, metric: str, higher_is_better: bool, responses: Sequence[LrResponse]) -> Self | None:
        """From responses in order of rank; None where there is one variant, or their LRs are no grid that is read."""
        drawn = responses[:_MOST_ROWS]
        lrs = np.unique(np.concatenate([each.lr for each in drawn])) if drawn else np.empty(0)
        if len(drawn) < 2 or len(lrs) > _MOST_COLUMNS or _filled(drawn) < _GRID:
            return None
        mean = np.full((len(drawn), len(lrs)), np.nan)
        diverged = np.zeros(mean.shape, dtype=bool)
        for row, each in enumerate(drawn):
            columns = np.searchsorted(lrs, each.lr)
            mean[row, columns], diverged[row, columns] = each.mean, each.diverged > 0
        names = tuple(each.name for each in drawn)
        return cls(title, metric, higher_is_better, names, lrs, mean, diverged, len(responses) - len(drawn))

    @property
    def best(self) -> tuple[int, int] | None:
        """Row and column of the best mean; None where everything diverged."""
        at = _best(self.mean.ravel(), self.higher_is_better)
        if at is None:
            return None
        row, column = divmod(at, len(self.lr))
        return row, column

    @property
    def answer(self) -> str:
        """The best cell in words."""
        if self.best is None:
            return "every variant diverged at every LR"
        row, column = self.best
        value = f"{metric_name(self.metric)} {number(self.mean[row, column])}"
        return f"best: {self.names[row]} at LR {number(self.lr[column])}, {value}"


@styled
def draw_lr(plot: LrPlot) -> Figure:
    """A line a variant: mean over seeds, from the lowest to the highest seed; the best LR ringed, diverged crossed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    _limit(axes, plot)
    for place, response in enumerate(plot.responses):
        _draw_response(axes, plot, response, response.name or "all", place)
    _lr_axis(axes)
    axes.set_ylabel(metric_name(plot.metric))
    more = f"; {plot.left_out} worse variants are not drawn" if plot.left_out else ""
    legend_below(figure, [axes], f"mean and range over seeds, best LR ringed, × diverged{more}", most=3)
    titled(figure, plot.title, plot.answer)
    return figure


@styled
def draw_heat(plot: HeatPlot) -> Figure:
    """A cell a variant and LR, the best outlined; hatched where a seed diverged, empty where nothing was trained."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows, columns = plot.mean.shape
    figure = Figure(figsize=(min(16.0, 5.2 + 0.62 * columns), 1.9 + 0.42 * max(rows, 3)), layout="constrained")
    axes = figure.subplots()
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(plot.mean), cmap=_colours(plot), norm=_norm(plot), edgecolors="white", lw=1
    )
    for row, column in np.argwhere(plot.diverged).tolist():
        axes.add_patch(Rectangle((column, row), 1, 1, fc="#F4F4F4", ec=FAINT, hatch="////", lw=0))
    if plot.best is not None:
        row, column = plot.best
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, ec=PALETTE[1], lw=2.6, zorder=5))
    cell = (figure.get_size_inches()[0] - 1.6 - _NAME) / columns
    if plot.mean.size <= _MOST_NUMBERS and all(width(number(mean), 8) < cell for mean in plot.mean.flat):
        _numbers(axes, plot, mesh)
    axes.set_xticks(np.arange(columns) + 0.5, [number(lr) for lr in plot.lr], rotation=45, ha="right", fontsize=8.5)
    axes.set_yticks(np.arange(rows) + 0.5, fitted_apart(plot.names, _NAME, 10))
    axes.invert_yaxis()
    axes.grid(visible=False)
    notes = ["hatched: a seed diverged"] * bool(plot.diverged.any())
    notes += [f"{plot.left_out} worse variants are not drawn"] * bool(plot.left_out)
    axes.set_xlabel("\n".join(["learning rate", *notes]))
    _colour_bar(figure, axes, plot, mesh)
    titled(figure, plot.title, plot.answer)
    return figure


def _filled(responses: Sequence[LrResponse]) -> float:
    """The part of all LRs that variants were trained at, on average."""
    lrs = {lr for each in responses for lr in each.lr.tolist()}
    return float(np.mean([len(each.lr) / len(lrs) for each in responses])) if responses else 0.0


def _best(mean: Array, higher_is_better: bool) -> int | None:
    if not np.isfinite(mean).any():
        return None
    return int(np.nanargmax(mean) if higher_is_better else np.nanargmin(mean))


def _end(response: LrResponse, at: int) -> str:
    """What to know of a best LR that is the first or last one: a better one may lie beyond."""
    return {0: " (the smallest tried)", len(response.lr) - 1: " (the largest tried)"}.get(at, "")


def _draw_response(axes: Axes, plot: LrPlot, response: LrResponse, name: str, place: int) -> None:
    known = np.isfinite(response.mean)
    lr, mean, style = response.lr[known], response.mean[known], look(place)
    if len(mean) and not plot.higher_is_better and mean.min() > axes.get_ylim()[1]:
        name = f"{name} (above the picture)"
    color, line = style["color"], style["ls"] if plot.shared else "none"
    axes.plot(lr, mean, marker=marker(place), color=color, ls=line, ms=4.5, label=label(name), zorder=3)
    values = response.values[known]
    if plot.shared and values.shape[1] > 1 and len(lr):
        axes.fill_between(lr, np.nanmin(values, axis=1), np.nanmax(values, axis=1), color=color, alpha=0.15, lw=0)
    at = plot.best(response)
    if at is not None:
        axes.plot(response.lr[at], response.mean[at], "o", ms=11, mfc="none", mec=color, mew=2, zorder=4)
    lost = response.lr[response.diverged > 0]
    # A row a variant, so that none hides another's.
    edge = (place + 0.6) * _CROSSES if plot.higher_is_better else 1 - (place + 0.6) * _CROSSES
    axes.plot(lost, np.full(len(lost), edge), "x", color=color, ms=6, mew=1.6, transform=axes.get_xaxis_transform())


def _limit(axes: Axes, plot: LrPlot) -> None:
    """Log where losses span much; what is far worse than the best leaves the picture."""
    means = np.concatenate([each.mean[np.isfinite(each.mean)] for each in plot.responses])
    if not means.size:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "every LR diverged", transform=axes.transAxes, ha="center", color=INK)
        return
    low, high = float(means.min()), float(means.max())
    lost = max((place + 1 for place, each in enumerate(plot.responses) if each.diverged.any()), default=0)
    # Crosses have room of their own at the bad end.
    room = 0.06 + lost * _CROSSES / (1 - lost * _CROSSES)
    below, above = (room, 0.06) if plot.higher_is_better else (0.06, room)
    if not plot.higher_is_better and is_wide(low, high):
        set_limits(axes.yaxis, low, min(high, BAD * low), log=True, below=below, above=above)
        return
    values = np.concatenate([each.values[np.isfinite(each.mean)].ravel() for each in plot.responses])
    set_limits(axes.yaxis, float(np.nanmin(values)), float(np.nanmax(values)), below=below, above=above)


def _lr_axis(axes: Axes) -> None:
    axes.set_xlabel("learning rate")
    axes.margins(x=0.04)
    log_ticks(axes.xaxis)


def _colours(plot: HeatPlot) -> str:
    """Dark is good."""
    return "viridis_r" if plot.higher_is_better else "viridis"


def _norm(plot: HeatPlot):  # type: ignore[no-untyped-def]  # matplotlib's classes, imported on use
    from matplotlib.colors import LogNorm, Normalize

    known = plot.mean[np.isfinite(plot.mean)]
    if not known.size:
        return Normalize(0, 1)
    low, high = float(known.min()), float(known.max())
    if not plot.higher_is_better and is_wide(low, high):
        return LogNorm(low, min(high, BAD * low))
    return Normalize(low, high)


def _colour_bar(figure: Figure, axes: Axes, plot: HeatPlot, mesh) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter, LogLocator

    plain = FuncFormatter(lambda value, _: number(value))
    norm = mesh.norm
    ticks = LogLocator(subs=log_subs(norm.vmin or 1, norm.vmax or 1)) if isinstance(norm, LogNorm) else None
    bar = figure.colorbar(mesh, ax=axes, label=f"{metric_name(plot.metric)}, mean over seeds", pad=0.01,
                          ticks=ticks, format=plain)  # fmt: skip
    bar.minorticks_off()


def _numbers(axes: Axes, plot: HeatPlot, mesh) -> None:  # type: ignore[no-untyped-def]
    for (row, column), value in np.ndenumerate(plot.mean):
        if np.isfinite(value):
            red, green, blue, _ = mesh.cmap(mesh.norm(value))
            ink = INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
            axes.text(column + 0.5, row + 0.5, number(float(value)), ha="center", va="center", fontsize=8, color=ink)
