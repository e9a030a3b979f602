"""The plot of one or several schedules: learning rate against step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrtool.report.plots.axes import from_zero
from lrtool.report.plots.lettering import label as named
from lrtool.report.plots.lettering import legend_below, titled, y_label
from lrtool.report.plots.style import log_ticks, look, styled
from lrtool.report.thinning import thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_BLOCKS = 2000


@dataclass(frozen=True)
class SchedulePlot:
    """Curves by name, each (steps,): the value that update t uses. `other`: curves of other units, below."""

    curves: Mapping[str, Array]
    title: str = "Schedule"
    label: str = "learning rate"
    log: bool = False
    steps_per_epoch: int | None = None
    other: Mapping[str, Array] | None = None


@styled
def draw_schedule(plot: SchedulePlot) -> Figure:
    """LR against step, curves told apart by colour and dashes, epochs on top where they are known."""
    from matplotlib.figure import Figure

    other = plot.other or {}
    heights = [3.0, *[1.2] * len(other)]
    figure = Figure(figsize=(8, 3.3 + 1.4 * len(other)), layout="constrained")
    panels = list(figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    _curves(panels[0], plot.curves, plot.label, plot.log, zero=True)
    for axes, (name, values) in zip(panels[1:], other.items(), strict=True):
        _curves(axes, {name: values}, name.replace("_", " "), log=False, zero=False)
        y_label(axes, name.replace("_", " "), 1.1)
    steps_below(panels[-1])
    figure.align_ylabels(panels)
    if plot.steps_per_epoch:
        epochs_on_top(panels[0], plot.steps_per_epoch)
    if len(plot.curves) > 1:
        legend_below(figure, panels[:1])
    titled(figure, plot.title)
    return figure


def steps_below(axes: Axes) -> None:
    """An x axis that counts whole steps."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 2.5, 5, 10]))
    left, right = axes.get_xlim()
    if right - left < 1:  # a single step
        axes.set_xlim((left + right) / 2 - 1, (left + right) / 2 + 1)


def epochs_on_top(axes: Axes, steps_per_epoch: float) -> None:
    """A second x axis that counts epochs."""

    def epochs(step: Array) -> Array:
        return step / steps_per_epoch

    def steps(epoch: Array) -> Array:
        return epoch * steps_per_epoch

    top = axes.secondary_xaxis("top", functions=(epochs, steps))  # type: ignore[arg-type]
    top.set_xlabel("epoch", fontsize=9)
    top.tick_params(labelsize=9)


def _curves(axes: Axes, curves: Mapping[str, Array], label: str, log: bool, zero: bool) -> None:
    lowest = np.inf
    for place, (name, values) in enumerate(curves.items()):
        steps, heights = outline(np.arange(len(values), dtype=np.float64), values)
        heights = np.where(heights > 0, heights, np.nan) if log else heights
        lowest = min(lowest, float(np.nanmin(heights, initial=np.inf)))
        marker = "o" if np.isfinite(heights).sum() == 1 else None
        name += " (never above 0)" if log and not np.isfinite(heights).any() else ""
        axes.plot(steps, heights, marker=marker, label=named(name), **look(place))
    axes.set_ylabel(label)
    if log and np.isfinite(lowest):
        axes.set_yscale("log")
        log_ticks(axes.yaxis)
    elif zero:
        from_zero(axes, lowest)


def outline(x: Array, y: Array) -> tuple[Array, Array]:
    """A curve with few enough points to draw: a long one goes through the extremes of each block of points."""
    if len(y) <= 2 * _BLOCKS:
        return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    few = thin(x, y, _BLOCKS)
    rising = np.diff(few.mean, append=few.mean[-1:]) >= 0
    first, second = np.where(rising, few.low, few.high), np.where(rising, few.high, few.low)
    return np.repeat(few.x, 2), np.stack([first, second], axis=1).reshape(-1)
