"""Plots with a row a variant: the final metric with its interval, and the updates to a target loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.statistics.comparison import Comparison, Statistic
from lrtool.analysis.statistics.student import Interval
from lrtool.comparison.variants import Variant
from lrtool.report.plots.axes import is_wide, set_limits
from lrtool.report.plots.lettering import fitted_apart, titled, wrapped
from lrtool.report.plots.style import FAINT, INK, PALETTE, metric_name, number, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Rows of dots and bars that are still read.
MOST_ROWS = 30
#: Inches of a figure and of a name at most; sizes of names, and of the line below the axes, in points.
_WIDTH, _NAME = 8.5, 3.6
_NAMES, _SIZE = 10.0, 10.0
#: Values that span more than this factor are drawn on a log axis; up to it, equal distances look equal.
_WIDE = 8.0


@dataclass(frozen=True)
class ForestRow:
    """A variant's final values, one a seed (finite ones), their mean or median and its interval.

    `apart`: told apart from the best; `odd`: the seeds have outliers or skew, so a mean's interval may not hold.
    """

    name: str
    values: Array
    mean: float
    interval: Interval | None
    diverged: int
    apart: bool
    odd: bool = False


@dataclass(frozen=True)
class ForestPlot:
    """The final metric of each variant, best first."""

    title: str
    answer: str
    metric: str
    rows: tuple[ForestRow, ...]
    left_out: int = 0
    statistic: Statistic = "mean"

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
                    variant.name, values[np.isfinite(values)], found.mean, found.interval, standing.diverged, apart,
                    standing.look.odd and comparison.statistic == "mean",
                )
            )  # fmt: skip
        left_out = max(0, len(rows) - MOST_ROWS)
        return cls(title, answer, metric, tuple(rows[:MOST_ROWS]), left_out, comparison.statistic)


@dataclass(frozen=True)
class TargetPlot:
    """Updates to a `target` of the loss: by variant those of each seed that reached it, and the number of all seeds."""

    title: str
    target: float
    names: tuple[str, ...]
    steps: tuple[Array, ...]
    seeds: tuple[int, ...]
    loss: str = "val_loss"
    left_out: int = 0

    @classmethod
    def of(cls, title: str, target: float, variants: Sequence[Variant], loss: str = "val_loss") -> Self:
        """From variants in order of their rank."""
        drawn = variants[:MOST_ROWS]
        reached = [variant.reached(target, loss) for variant in drawn]
        steps = tuple(np.array(sorted(each[0] for each in seeds.values() if each is not None)) for seeds in reached)
        names, left_out = tuple(variant.name for variant in drawn), len(variants) - len(drawn)
        return cls(title, target, names, steps, tuple(map(len, reached)), loss, left_out)

    @property
    def answer(self) -> str:
        """What the plot shows, in words."""
        full = [
            (float(np.median(steps)), name)
            for name, steps, seeds in zip(self.names, self.steps, self.seeds, strict=True)
            if len(steps) == seeds
        ]
        what = f"a {metric_name(self.loss)} of {number(self.target)}"
        if not full:
            return f"no variant reaches {what} with every seed"
        least = min(steps for steps, _ in full)
        first = [name for steps, name in full if steps == least]
        after = f"after {least:,.0f} updates (median of seeds)"
        if len(first) == 1:
            return f"{first[0]} reaches {what} first, {after}"
        return f"{', '.join(first[:4])}{f' and {len(first) - 4} more' if len(first) > 4 else ''} reach {what} {after}"


@styled
def draw_forest(plot: ForestPlot) -> Figure:
    """A row a variant: a dot a seed, the mean (or median) and its 95% interval; the best on top."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, 1.7 + 0.42 * len(plot.rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(plot.rows):
        color = FAINT if row.apart else PALETTE[0]
        axes.plot(row.values, np.full(len(row.values), place + 0.2), "o", ms=4.5, color=color, alpha=0.5, mew=0)
        if row.interval is not None:
            axes.plot(row.interval, (place, place), color=color, lw=2.4)
        if math.isfinite(row.mean):
            axes.plot(row.mean, place, "D", ms=6.5, color=color, mec="white", mew=0.8)
    _rows(axes, [f"{row.name} *" if row.odd else row.name for row in plot.rows])
    _forest_limits(axes, plot)
    _forest_notes(axes, plot)
    what = f"{metric_name(plot.metric)}: seeds, {plot.statistic}, 95% interval; grey: told apart from the best"
    odd = "; *: outliers or skew, the interval may hold less often" if any(row.odd for row in plot.rows) else ""
    _below(figure, what + odd)
    titled(figure, plot.title, _with_left_out(plot.answer, plot.left_out))
    return figure


@styled
def draw_target(plot: TargetPlot) -> Figure:
    """Bars of the median number of updates to the target, a dot a seed; how many seeds never reached it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, 1.7 + 0.42 * len(plot.names)), layout="constrained")
    axes = figure.subplots()
    for place, (steps, seeds) in enumerate(zip(plot.steps, plot.seeds, strict=True)):
        if len(steps) < seeds:
            _note(axes, place, f"{len(steps)} of {seeds} seeds reach it")
        if len(steps):
            # Seeds that never arrive count: a median of those that did would flatter the others.
            if len(steps) > seeds / 2:
                middle = float(np.median([*steps, *[math.inf] * (seeds - len(steps))]))
                axes.barh(place, middle, height=0.6, color=PALETTE[0], alpha=0.75)
            # One above the other, for many arrive at the same evaluation.
            spread = 0.22 if len(steps) > 1 else 0.0
            axes.plot(steps, place + np.linspace(-spread, spread, len(steps)), "o", ms=3.5, color=INK, alpha=0.7, mew=0)
    _rows(axes, list(plot.names))
    axes.set_xlim(0, max([1.0, *(float(steps.max()) for steps in plot.steps if len(steps))]) / 0.95)
    loss = metric_name(plot.loss)
    _below(figure, f"updates until the {loss} is at most {number(plot.target)}: median (bar), seeds (dots)")
    titled(figure, plot.title, _with_left_out(plot.answer, plot.left_out))
    return figure


def _below(figure: Figure, text: str) -> None:
    """Words below the axes, as wide as the figure."""
    figure.supxlabel("\n".join(wrapped(text, _WIDTH - 0.4, _SIZE)), fontsize=_SIZE)


def _note(axes: Axes, place: int, words: str) -> None:
    """Words right of a row, outside the axes, where nothing crosses them."""
    axes.annotate(
        words, (1, place), xycoords=axes.get_yaxis_transform(), xytext=(6, 0), textcoords="offset points",
        va="center", fontsize=8.5, annotation_clip=False,
    )  # fmt: skip


def _with_left_out(answer: str, left_out: int) -> str:
    return f"{answer} ({left_out} worse variants are not drawn)" if left_out else answer


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows."""
    axes.set_yticks(range(len(names)), fitted_apart(names, _NAME, _NAMES))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _forest_limits(axes: Axes, plot: ForestPlot) -> None:
    """Room for every value, unless some lie so far off that the good ones could not be told apart."""
    means = np.array([row.mean for row in plot.rows if math.isfinite(row.mean)])
    if not means.size:
        axes.set_xticks([])
        return
    spread = max((float(np.ptp(row.values)) for row in plot.rows[:1] if len(row.values)), default=0.0)
    apart = np.abs(means - means[0])
    shown = means[apart <= 20 * max(float(np.median(apart)), spread, 1e-12)]
    ends = [end for row in plot.rows if row.mean in shown for end in (row.interval or ())]
    values = [value for row in plot.rows if row.mean in shown for value in row.values]
    low, high = min([*ends, *values]), max([*ends, *values])
    log = is_wide(min(values), max(values), _WIDE)
    # An interval may reach below 0. Variants differ by little, and that is what the figure is about.
    set_limits(axes.xaxis, min(values) if log else low, high, log=log, least=1e-3)


def _forest_notes(axes: Axes, plot: ForestPlot) -> None:
    """Right of a row: how many seeds diverged, and where a mean lies that is out of the picture.

    An interval that leaves the picture has an arrow where it does.
    """
    low, high = axes.get_xlim()
    for place, row in enumerate(plot.rows):
        if row.interval is not None and low <= row.mean <= high:
            for out, at, arrow in ((row.interval[0] < low, low, "<"), (row.interval[1] > high, high, ">")):
                if out:
                    axes.plot(at, place, arrow, ms=6, color=FAINT if row.apart else PALETTE[0], clip_on=False)
        notes = [f"{row.diverged} seed{'' if row.diverged == 1 else 's'} diverged"] if row.diverged else []
        if math.isfinite(row.mean) and not low <= row.mean <= high:
            notes.append(f"{plot.statistic} {number(row.mean)} {'→' if row.mean > high else '(far left)'}")
        if notes:
            _note(axes, place, ", ".join(notes))
