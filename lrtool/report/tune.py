"""The plot of a tune: final loss against peak LR, every trial, the fit, the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrtool.report.style import FAINT, GREY, INK, PALETTE, number, styled, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


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


@styled
def draw_tune(plot: TunePlot) -> Figure:
    """Points for trials, crosses along the top for diverged ones, a line per fit, bands for the best schedule."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    axes = figure.subplots()
    low, high = _limits(plot)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=14))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if low > 0 and high / low > 8:
        axes.set_yscale("log")
    axes.set_ylim(low, high)
    for place, curve in enumerate(plot.curves):
        _draw_curve(axes, curve, PALETTE[place % len(PALETTE)], first=place == 0)
    _draw_peers(axes, plot)
    axes.set_xlabel("peak learning rate")
    axes.set_ylabel("final loss")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    titled(figure, axes, plot.title, plot.answer)
    return figure


def _draw_curve(axes: Axes, curve: TunedCurve, color: str, first: bool) -> None:
    finite = np.isfinite(curve.loss)
    top = axes.get_ylim()[1]
    inside = finite & (curve.loss <= top)
    axes.plot(curve.lr[inside], curve.loss[inside], "o", ms=4, color=color, alpha=0.5, label=f"{curve.name}: trials")
    off = ~inside
    if off.any():
        axes.plot(
            curve.lr[off], np.full(off.sum(), 0.985), "x", ms=6, color=color, transform=axes.get_xaxis_transform(),
            label=f"{curve.name}: diverged or off the scale", clip_on=False,
        )  # fmt: skip
    axes.plot(curve.grid, curve.fit, color=color, lw=1.6, label=f"{curve.name}: fit")
    if curve.best is None:
        return
    bands = ((curve.within_noise, 0.08, "cannot be told from the best"), (curve.interval, 0.14, "95% interval"))
    for band, alpha, label in bands if first else ():
        if band is not None:
            # An open interval is drawn up to where trials were made.
            low, high = np.clip(band, curve.grid[0], curve.grid[-1])
            axes.axvspan(low, high, color=color, alpha=alpha, lw=0, label=label)
    axes.axvline(curve.best, color=color, lw=1.4, ls="-" if first else "--")
    axes.annotate(
        number(curve.best), (curve.best, 0.02), xycoords=axes.get_xaxis_transform(), xytext=(4, 0),
        textcoords="offset points", color=color, fontweight="bold" if first else "normal",
    )  # fmt: skip


def _draw_peers(axes: Axes, plot: TunePlot) -> None:
    """What other methods read off the ramp, as marks on the axis."""
    left, right = axes.get_xlim()
    for place, (name, lr) in enumerate(sorted(plot.peers.items(), key=lambda item: item[1])):
        if not left <= lr <= right:
            continue
        axes.plot([lr], [0], "^", ms=7, color=GREY, transform=axes.get_xaxis_transform(), clip_on=False, zorder=5)
        axes.annotate(
            name, (lr, 0.05 + 0.05 * (place % 4)), xycoords=axes.get_xaxis_transform(), ha="center", fontsize=8,
            color=INK, arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.5, "relpos": (0.5, 0)},
        )  # fmt: skip


def _limits(plot: TunePlot) -> tuple[float, float]:
    """A loss axis that shows the minimum: the worst trials leave at the top."""
    losses = np.concatenate([curve.loss[np.isfinite(curve.loss)] for curve in plot.curves] or [np.ones(1)])
    if not losses.size:
        return 0.0, 1.0
    low, high = float(losses.min()), float(np.quantile(losses, 0.9))
    if low > 0:
        high = min(high, low * 20)
        return low / 1.15, max(high, low * 1.2) * 1.1
    room = max(high - low, 1e-12)
    return low - 0.1 * room, high + 0.15 * room
