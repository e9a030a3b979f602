"""The plot of a tune: final loss against peak LR, every trial, the fit, the answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrtool.report.plots.axes import is_wide, set_limits
from lrtool.report.plots.marks import Mark, draw_marks, draw_peers, lr_axis, with_rows
from lrtool.report.plots.style import INK, PALETTE, styled, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Losses that differ by less than this factor are all on the scale.
_NARROW = 5.0
#: Room below the least loss, as a part of what lies between it and the greatest.
_BELOW = 0.2
#: Part of the axis between what is off the scale for one schedule and for the next.
_LINE = 0.05
#: What the signs along the upper edge mean, and when they are there.
_OFF: dict[str, tuple[str, Callable[[Array, float], bool]]] = {
    "diverged, how many": ("x", lambda loss, _: bool((~np.isfinite(loss)).any())),
    "off the scale, how many": ("$↑$", lambda loss, most: bool((loss[np.isfinite(loss)] > most).any())),
}


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
    def span(self) -> tuple[float, float]:
        """The LRs to draw: all that were tried."""
        lrs = np.concatenate([curve.lr for curve in self.curves])
        return float(lrs.min()) / 1.25, float(lrs.max()) * 1.25


@styled
def draw_tune(plot: TunePlot) -> Figure:
    """Points for trials, those that are off the scale counted along the top, a line per fit, answers in rows above."""
    from matplotlib.figure import Figure

    marks = [_mark(curve, color, first=not place) for place, (curve, color) in enumerate(_coloured(plot)) if curve.best]
    figure = Figure(figsize=(9, 5.4 + 0.25 * len(marks)), layout="constrained")
    axes, above = with_rows(figure, len(marks))
    lr_axis(axes, *plot.span, "peak learning rate")
    low, most = _seen(plot)
    # The peers' shapes stand along the lower edge, what is off the scale along the upper one.
    room = 0.05 + _LINE * len(plot.curves)
    set_limits(axes.yaxis, low, most, log=is_wide(low, most, _NARROW), below=_BELOW, above=room, ticks=14)
    for place, (curve, color) in enumerate(_coloured(plot)):
        _draw_curve(axes, curve, color, most)
        _draw_off(axes, curve, color, most, place)
    draw_marks(axes, above, marks)
    _shade(axes, plot)
    draw_peers(axes, plot.peers)
    axes.set_ylabel("final loss")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, columnspacing=1.6)
    titled(figure, above, plot.title, plot.answer)
    return figure


def _coloured(plot: TunePlot) -> Iterator[tuple[TunedCurve, str]]:
    return zip(plot.curves, itertools.cycle(PALETTE))


def _mark(curve: TunedCurve, color: str, first: bool) -> Mark:
    assert curve.best is not None
    name = curve.name.replace("_", " ")
    return Mark(name, curve.best, color, "-" if first else "--", curve.interval, curve.within_noise, bold=first)


def _draw_curve(axes: Axes, curve: TunedCurve, color: str, most: float) -> None:
    inside = curve.loss <= most
    name = curve.name.replace("_", " ")
    axes.plot(curve.lr[inside], curve.loss[inside], "o", ms=4.5, color=color, alpha=0.5, label=f"{name}, each trial")
    if np.isfinite(curve.fit).any():
        axes.plot(curve.grid, curve.fit, color=color, lw=1.8, label=f"{name}, fit")


def _draw_off(axes: Axes, curve: TunedCurve, color: str, most: float, place: int) -> None:
    """How many trials of each LR diverged (×), and how many are off the scale (↑), in a line below the upper edge."""
    for lr in np.unique(curve.lr):
        losses = curve.loss[curve.lr == lr]
        lost, off = int((~np.isfinite(losses)).sum()), int((losses[np.isfinite(losses)] > most).sum())
        text = " ".join(f"{sign}{count}" for sign, count in (("×", lost), ("↑", off)) if count)
        if text:
            axes.annotate(
                text, (lr, 0.985 - _LINE * place), xycoords=axes.get_xaxis_transform(), ha="center", va="top",
                color=color, fontsize=8.5, fontweight="bold", zorder=6, bbox={"fc": "white", "ec": "none", "pad": 0.3},
            )  # fmt: skip
    for label, (sign, shown) in _OFF.items():
        if shown(curve.loss, most) and label not in axes.get_legend_handles_labels()[1]:
            axes.plot([], [], marker=sign, ms=7, color=INK, ls="none", label=label)


def _shade(axes: Axes, plot: TunePlot) -> None:
    """The interval of the best schedule, and the LRs that cannot be told from its best."""
    best = plot.curves[0]
    if best.best is None:
        return
    for band, alpha, label in (
        (best.interval, 0.14, "95% interval"),
        (best.within_noise, 0.07, "cannot be told from the best"),
    ):
        if band is not None:
            axes.axvspan(*np.clip(band, *plot.span), color=PALETTE[0], alpha=alpha, lw=0, label=label)


def _seen(plot: TunePlot) -> tuple[float, float]:
    """Between which losses lies what is drawn: the worst trials are off the scale, and counted in the room above it."""
    losses = np.concatenate([curve.loss[np.isfinite(curve.loss)] for curve in plot.curves])
    if not losses.size:
        return 0.0, 1.0
    low, high = float(losses.min()), float(losses.max())
    if not 0 < high < _NARROW * low:
        high = float(np.quantile(losses, 0.9))
    return low, max(min(high, low * 20), low * 1.2) if low > 0 else high
