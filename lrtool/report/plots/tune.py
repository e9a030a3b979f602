"""The plot of a tune: final loss against peak LR, every trial, the fit, the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrtool.report.plots.axes import is_wide, set_limits
from lrtool.report.plots.edge import ROW, draw_counts, loss_range
from lrtool.report.plots.lettering import fitted_apart, legend_below, titled
from lrtool.report.plots.marks import (
    LONGEST,
    Mark,
    Panel,
    draw_marks,
    draw_peers,
    height,
    lr_axis,
    shade,
    with_rows,
)
from lrtool.report.plots.style import INK, look, marker, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Losses that differ by less than this factor are all on the scale.
_NARROW = 5.0
#: Room below the least loss, as a part of what lies between it and the greatest.
_BELOW = 0.2
#: So many schedules have a line down the plot and a row of counts each; of more, only the best has a line.
_LINES = 3
#: Inches of the plot.
_HEIGHT = 4.0


@dataclass(frozen=True)
class TunedCurve:
    """One schedule: trials `lr` and `loss`, both (trials,), loss NaN where diverged; the fit `grid`, `fit`.

    `best`, `interval`, `within_noise` are None where nothing could be concluded.
    """

    name: str
    lr: Array
    loss: Array
    grid: Array
    fit: Array
    best: float | None
    interval: tuple[float, float] | None
    within_noise: tuple[float, float] | None


@dataclass(frozen=True)
class TunePlot:
    """Schedules from best to worst, the peers' suggestions by method, and the answer in words."""

    title: str
    answer: str
    curves: Sequence[TunedCurve]
    peers: Mapping[str, float] = field(default_factory=dict)

    @property
    def tried(self) -> tuple[float, float]:
        """The least and the greatest LR that was tried."""
        lrs = np.concatenate([curve.lr for curve in self.curves])
        return float(lrs.min()), float(lrs.max())


@styled
def draw_tune(plot: TunePlot) -> Figure:
    """Points for trials, those that are off the scale counted along the top, a line per fit, answers in rows above.

    The rows name the schedules, so the legend needs not.
    """
    from matplotlib.figure import Figure

    names = fitted_apart([curve.name.replace("_", " ").strip() for curve in plot.curves], LONGEST, 8.5)
    marks = [_mark(*pair, place, len(plot.curves)) for place, pair in enumerate(zip(plot.curves, names, strict=True))]
    figure = Figure(figsize=(9, 0.9 + _HEIGHT + height(len(marks))), layout="constrained")
    (axes,), above = with_rows(figure, len(marks), (_HEIGHT,))
    low, high = plot.tried
    lr_axis(axes, low / 1.25, high * 1.25, "peak learning rate")
    least, most = loss_range(np.concatenate([curve.loss for curve in plot.curves]), _NARROW)
    # The peers' shapes stand along the lower edge, what is off the scale along the upper one.
    lost = _lost(plot, most)
    room = 0.05 + 1.3 * ROW * len(lost)
    set_limits(axes.yaxis, least, most, log=is_wide(least, most, _NARROW), below=_BELOW, above=room, ticks=14)
    for place, curve in enumerate(plot.curves):
        _draw_curve(axes, curve, place, most, named=not place)
    for row, (lr, loss, color) in enumerate(lost):
        draw_counts(axes, lr, loss, most, color, row)
    if not any(np.isfinite(curve.loss).any() for curve in plot.curves):
        axes.set_yticks([])
        axes.text(0.5, 0.5, "every trial diverged", transform=axes.transAxes, ha="center", fontsize=12)
    panel = Panel(axes, plot.tried)
    draw_marks([panel], above, marks)
    _shade(panel, plot)
    draw_peers(axes, plot.peers)
    axes.set_ylabel("final loss")
    legend_below(figure, [axes], most=4)
    titled(figure, plot.title, plot.answer)
    return figure


def _lost(plot: TunePlot, most: float) -> list[tuple[Array, Array, str]]:
    """LRs, losses and colour of schedules with trials that are off the scale; of many schedules all in one."""
    lost = [(curve.lr, curve.loss, look(place)["color"]) for place, curve in enumerate(plot.curves)
            if not (curve.loss <= most).all()]  # fmt: skip
    if len(lost) <= _LINES:
        return lost
    return [(np.concatenate([lr for lr, _, _ in lost]), np.concatenate([loss for _, loss, _ in lost]), INK)]


def _mark(curve: TunedCurve, name: str, place: int, count: int) -> Mark:
    """The row of a schedule, with a line down the plot where there are few."""
    style = look(place)
    if curve.best is None:
        return Mark(f"{name}: no LR can be named", None, style["color"], shape=marker(place))
    line = style["ls"] if not place or count <= _LINES else None
    return Mark(name, curve.best, style["color"], line, curve.interval, curve.within_noise, not place, marker(place))


def _draw_curve(axes: Axes, curve: TunedCurve, place: int, most: float, named: bool) -> None:
    """Trials as points, the fit as a line; the legend explains those of the first schedule."""
    inside, style = curve.loss <= most, look(place)
    points = axes.plot(curve.lr[inside], curve.loss[inside], marker(place), ms=4.5, color=style["color"], alpha=0.5)
    points[0].set_gid("trials")
    if np.isfinite(curve.fit).any():
        axes.plot(curve.grid, curve.fit, lw=1.8, **style)
    if curve.best is not None:
        at = float(np.interp(np.log(curve.best), np.log(curve.grid), curve.fit))
        axes.plot(curve.best, at, marker(place), ms=8, mfc=style["color"], mec="white", mew=1.2, zorder=6)
    if named:
        axes.plot([], [], marker(place), ms=4.5, color=INK, alpha=0.5, label="each trial")
        axes.plot([], [], "-", lw=1.8, color=INK, label="fit (at most 4 × the best)")


def _shade(panel: Panel, plot: TunePlot) -> None:
    """The interval of the best schedule, and the LRs that cannot be told from its best."""
    best = plot.curves[0]
    if best.best is None:
        return
    for band, alpha, label in (
        (best.interval, 0.14, "95% interval"),
        (best.within_noise, 0.07, "cannot be told from the best"),
    ):
        if band is not None:
            shade([panel], band, look(0)["color"], alpha, label)
