"""The plots of a comparison: curves with bands, the final metric by variant, steps to a target."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.comparison import Comparison
from lrtool.analysis.student import Interval, estimate
from lrtool.report.schedule import steps_below
from lrtool.report.style import FAINT, INK, PALETTE, number, shortened, styled, titled
from lrtool.runs.variants import Variant, loss_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Variants that one figure can tell apart; the best ones are drawn.
MOST_DRAWN = len(PALETTE)
#: Rows of dots and bars that are still read.
MOST_ROWS = 30
_POINTS = 300


@dataclass(frozen=True)
class Band:
    """A variant's loss over updates: `step`, `mean`, `low`, `high` all (points,); the band is NaN with one seed.

    `lr_step`, `lr`: its learning rate, of its first seed. `seeds` that did not diverge are averaged.
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
    """The curves of the best variants, best first; `loss` names the loss, `left_out` counts variants not drawn."""

    title: str
    answer: str
    loss: str
    bands: tuple[Band, ...]
    left_out: int = 0

    @classmethod
    def of(cls, title: str, answer: str, variants: Sequence[Variant]) -> Self:
        """From variants in order of their rank."""
        bands = tuple(_band(variant) for variant in variants[:MOST_DRAWN])
        names = {loss_curve(outcome)[2] for variant in variants[:MOST_DRAWN] for outcome in variant.outcomes.values()}
        loss = "validation loss" if names == {"val_loss"} else "training loss" if names == {"train_loss"} else "loss"
        return cls(title, answer, loss, bands, max(0, len(variants) - MOST_DRAWN))


@dataclass(frozen=True)
class ForestRow:
    """A variant's final values, one a seed (finite ones), their mean and interval; `apart` from the best for sure."""

    name: str
    values: Array
    mean: float
    interval: Interval | None
    diverged: int
    apart: bool


@dataclass(frozen=True)
class ForestPlot:
    """The final metric of each variant, best first."""

    title: str
    answer: str
    metric: str
    rows: tuple[ForestRow, ...]
    left_out: int = 0

    @classmethod
    def of(cls, title: str, answer: str, metric: str, variants: Sequence[Variant], comparison: Comparison) -> Self:
        """From variants in order of their rank."""
        rows = []
        for variant, standing in zip(variants, comparison.standings, strict=True):
            values = np.array(list(variant.values(metric).values()))
            apart = standing.to_best is not None and standing.to_best.significant
            found = standing.estimate
            rows.append(
                ForestRow(
                    variant.name, values[np.isfinite(values)], found.mean, found.interval, standing.diverged, apart
                )
            )
        return cls(title, answer, metric, tuple(rows[:MOST_ROWS]), max(0, len(rows) - MOST_ROWS))


@dataclass(frozen=True)
class TargetPlot:
    """Updates to a loss of `target`: by variant those of each seed that reached it, and the number of all seeds."""

    title: str
    target: float
    names: tuple[str, ...]
    steps: tuple[Array, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, title: str, target: float, variants: Sequence[Variant]) -> Self:
        """From variants in order of their rank."""
        drawn = variants[:MOST_ROWS]
        reached = [variant.reached(target) for variant in drawn]
        steps = tuple(np.array(sorted(each[0] for each in seeds.values() if each is not None)) for seeds in reached)
        return cls(title, target, tuple(variant.name for variant in drawn), steps, tuple(map(len, reached)))

    @property
    def answer(self) -> str:
        """What the plot shows, in words."""
        full = [
            (float(np.median(steps)), name)
            for name, steps, seeds in zip(self.names, self.steps, self.seeds, strict=True)
            if len(steps) == seeds
        ]
        if not full:
            return f"no variant reaches a loss of {number(self.target)} with every seed"
        steps, name = min(full)
        return f"{name} reaches a loss of {number(self.target)} first, after {steps:,.0f} updates (median of seeds)"


@styled
def draw_overlay(plot: OverlayPlot) -> Figure:
    """Loss with bands above, learning rate below, over a common step axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    for band, color in zip(plot.bands, PALETTE, strict=False):
        label = f"{shortened(band.name, 40)} ({band.seeds} seed{'' if band.seeds == 1 else 's'})"
        above.plot(band.step, band.mean, color=color, label=label, marker="o" if len(band.step) == 1 else None)
        above.fill_between(band.step, band.low, band.high, color=color, alpha=0.16, lw=0)
        below.plot(band.lr_step, band.lr, color=color, lw=1.4)
    _loss_axis(above, plot)
    below.set_ylabel("learning rate")
    if all((band.lr >= 0).all() for band in plot.bands):
        below.set_ylim(bottom=0)
    steps_below(below)
    figure.align_ylabels([above, below])
    _titled(figure, above, plot.title, plot.answer)
    return figure


@styled
def draw_forest(plot: ForestPlot) -> Figure:
    """A row a variant: a dot a seed, the mean and its 95% interval; the best on top."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 1.7 + 0.42 * len(plot.rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(plot.rows):
        color = FAINT if row.apart else PALETTE[0]
        axes.plot(row.values, np.full(len(row.values), place + 0.2), "o", ms=4.5, color=color, alpha=0.5, mew=0)
        if row.interval is not None:
            axes.plot(row.interval, (place, place), color=color, lw=2.4)
        if math.isfinite(row.mean):
            axes.plot(row.mean, place, "D", ms=6.5, color=color, mec="white", mew=0.8)
        if row.diverged:
            seeds = f"{row.diverged} seed{'' if row.diverged == 1 else 's'} diverged"
            axes.annotate(seeds, (1, place), xycoords=axes.get_yaxis_transform(), ha="right", va="bottom", fontsize=8.5)
    _rows(axes, [row.name for row in plot.rows])
    _forest_limits(axes, plot)
    more = f" ({plot.left_out} worse variants are not drawn)" if plot.left_out else ""
    axes.set_xlabel(f"{plot.metric.replace('_', ' ')}: seeds, mean, 95% interval; grey: told apart from the best{more}")
    _titled(figure, axes, plot.title, plot.answer)
    return figure


@styled
def draw_target(plot: TargetPlot) -> Figure:
    """Bars of the median number of updates to the target, a dot a seed; how many seeds never reached it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 1.7 + 0.42 * len(plot.names)), layout="constrained")
    axes = figure.subplots()
    for place, (steps, seeds) in enumerate(zip(plot.steps, plot.seeds, strict=True)):
        note = "" if len(steps) == seeds else f"{len(steps)} of {seeds} seeds reach it"
        end = 0.0
        if len(steps):
            end = float(steps.max())
            # Seeds that never arrive count: a median of those that did would flatter the others.
            if len(steps) > seeds / 2:
                middle = float(np.median([*steps, *[math.inf] * (seeds - len(steps))]))
                axes.barh(place, middle, height=0.6, color=PALETTE[0], alpha=0.75)
            axes.plot(steps, np.full(len(steps), place), "o", ms=4, color=INK, alpha=0.6, mew=0)
        axes.annotate(note, (end, place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8.5)
    _rows(axes, list(plot.names))
    axes.set_xlim(0, max([1.0, *(float(steps.max()) for steps in plot.steps if len(steps))]) * 1.2)
    axes.set_xlabel(f"updates until the loss is at most {number(plot.target)}: median (bar), seeds (dots)")
    _titled(figure, axes, plot.title, plot.answer)
    return figure


def _titled(figure: Figure, axes: Axes, title: str, answer: str) -> None:
    """As `titled`, with shorter lines: long names of variants leave the axes narrow."""
    titled(figure, axes, title, answer)
    axes.set_title("\n".join(textwrap.wrap(answer, 78)), fontsize=10, linespacing=1.4)


def _band(variant: Variant) -> Band:
    """Mean and interval over seeds on a common grid, which ends where the first seed ends."""
    curves = [loss_curve(outcome)[:2] for outcome in variant.outcomes.values() if not outcome.diverged]
    curves = [(step, loss) for step, loss in curves if len(step)]
    first = next(iter(variant.outcomes.values())).curve
    lr_step, lr = first.get("step", np.empty(0)), first.get("lr", np.empty(0))
    if not curves:
        nothing = np.empty(0)
        return Band(variant.name, 0, nothing, nothing, nothing, nothing, lr_step, lr)
    grid = _grid(curves)
    table = np.array([np.interp(grid, step, loss) for step, loss in curves])
    columns = [estimate(column) for column in table.T]
    ends = np.array([column.interval or (math.nan, math.nan) for column in columns])
    return Band(variant.name, len(curves), grid, table.mean(axis=0), ends[:, 0], ends[:, 1], lr_step, lr)


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
    means = np.concatenate([band.mean for band in plot.bands] or [np.empty(0)])
    axes.set_ylabel(plot.loss)
    if not means.size:
        axes.text(0.5, 0.5, "no seed has a finite loss", transform=axes.transAxes, ha="center", color=INK)
        return
    low, high = float(means.min()), float(np.quantile(means, 0.98))
    if low > 0 and high / low > 8:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
    else:
        room = max(high - low, abs(high) * 0.02, 1e-12)
        axes.set_ylim(low - 0.08 * room, high + 0.08 * room)
    more = f"; {plot.left_out} worse variants are not drawn" if plot.left_out else ""
    axes.legend(loc="best", title=f"mean and 95% interval over seeds{more}", title_fontsize=8.5)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [shortened(name, 44) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _forest_limits(axes: Axes, plot: ForestPlot) -> None:
    """Room for every value, unless some lie so far off that the good ones could not be told apart."""
    means = np.array([row.mean for row in plot.rows if math.isfinite(row.mean)])
    if not means.size:
        return
    shown = means[np.abs(means - means[0]) <= 20 * max(float(np.median(np.abs(means - means[0]))), 1e-12)]
    ends = [end for row in plot.rows if row.mean in shown for end in (row.interval or ())]
    values = [value for row in plot.rows if row.mean in shown for value in row.values]
    low, high = min([*ends, *values]), max([*ends, *values])
    room = max(high - low, abs(high) * 1e-3, 1e-12)
    axes.set_xlim(low - 0.05 * room, high + 0.05 * room)
