"""LRs marked on a logarithmic axis: the answers, each in a row of its own above the plot, and others' suggestions.

A row an answer is why no two labels can meet, however close the LRs are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.report.plots.style import INK, log_ticks, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches that a row and the plot below take.
_ROW, _PLOT = 0.25, 4.0
_SIZE = 8.5
#: Width of a letter and of an axis, in points, roughly: enough to tell on which side of a mark its label fits.
_LETTER, _AXIS = 5.1, 570.0
#: Methods of others have these shapes, in ink: they are not the answer.
_SHAPES = ("v", "s", "D", "^", "P", "X", "o", "<", ">")
#: Parts of the axis: two of these shapes that are nearer stand on each other; so much higher, the first so high.
_NEAR, _HIGHER, _FIRST = 0.017, 0.042, 0.026

Interval = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """An LR and what it is called. `interval` holds it; ends of 0 or infinity are open. `around` is a wider one."""

    name: str
    value: float
    color: str
    line: Any = "-"
    interval: Interval | None = None
    around: Interval | None = None
    bold: bool = False

    @property
    def label(self) -> str:
        """Name, LR and interval."""
        known = f" ({between(self.interval)})" if self.interval and self.interval[0] < self.interval[1] else ""
        return f"{self.name} {number(self.value)}{known}"


def between(interval: Interval) -> str:
    """Both ends of an interval; open ones are unknown.

    >>> between((0.01, 0.2)), between((0.0, math.inf))
    ('0.01 … 0.2', 'unknown … unknown')
    """
    return " … ".join(number(end) if 0 < end < math.inf else "unknown" for end in interval)


def with_rows(figure: Figure, rows: int) -> tuple[Axes, Axes]:
    """The axes of a plot over LRs, and above it those for so many marks."""
    grid = figure.add_gridspec(2, 1, height_ratios=(max(_ROW * rows, 0.01), _PLOT), hspace=0)
    figure.get_layout_engine().set(hspace=0, h_pad=0.03)  # type: ignore[union-attr,call-arg]
    axes = figure.add_subplot(grid[1])
    above = figure.add_subplot(grid[0], sharex=axes)
    above.set_axis_off()
    above.set_ylim(max(rows, 1) - 0.5, -0.5)
    return axes, above


def lr_axis(axes: Axes, low: float, high: float, label: str = "learning rate") -> None:
    """A logarithmic axis from `low` to `high`, with numbers as people write them."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    log_ticks(axes.xaxis, 14, dense=2000)
    axes.set_xlabel(label)


def draw_marks(axes: Axes, above: Axes, marks: Sequence[Mark]) -> None:
    """A line down the plot for each mark, smallest first, and above it its label and its interval as a bar."""
    low, high = axes.get_xlim()
    for row, mark in enumerate(sorted(marks, key=lambda mark: mark.value)):
        at = float(np.clip(mark.value, low, high))
        style: dict[str, Any] = {"color": mark.color, "clip_on": False}
        if at == mark.value:
            width = 2.2 if mark.bold else 1.5
            axes.axvline(at, color=mark.color, ls=mark.line, lw=width, zorder=4 + mark.bold)
            above.plot([at, at], [row, above.get_ylim()[0]], ls=mark.line, lw=width, zorder=1, **style)
        for interval, thick in ((mark.around, 1.2), (mark.interval, 3.5)):
            if interval is not None:
                _bar(above, interval, row, thick, style)
        # What lies beyond the axis is an arrow at its end.
        above.plot(at, row, _ends(mark.value, low, high) or "o", ms=6, zorder=3, **style)
        _label(above, mark, row)


def _bar(above: Axes, interval: Interval, row: int, thick: float, style: Mapping[str, Any]) -> None:
    low, high = above.get_xlim()
    first, last = (float(np.clip(end, low, high)) for end in interval)
    above.plot([first, last], [row, row], lw=thick, alpha=0.75, solid_capstyle="butt", zorder=2, **style)
    for end, at in zip(interval, (first, last), strict=True):
        arrow = _ends(end, low, high)
        if arrow is not None:
            above.plot(at, row, arrow, ms=5, zorder=2, **style)


def _ends(value: float, low: float, high: float) -> str | None:
    """The arrow for what lies beyond an end of the axis."""
    return "<" if value < low else ">" if value > high else None


def _label(above: Axes, mark: Mark, row: int) -> None:
    """The label right of all that the row shows, or left of it, or over it where neither side has room."""
    low, high = above.get_xlim()
    shown = [mark.value, *(mark.interval or ()), *(mark.around or ())]
    places = np.log(np.clip([min(shown), max(shown)], low, high) / low) / math.log(high / low)
    room = (_LETTER * len(mark.label) * (1.1 if mark.bold else 1.0) + 8) / _AXIS
    left, right = float(places[0]), float(places[1])
    text: dict[str, Any] = {
        "xycoords": above.get_yaxis_transform(), "textcoords": "offset points", "va": "center_baseline",
        "color": INK, "fontsize": _SIZE, "fontweight": "bold" if mark.bold else "normal", "zorder": 5,
        "bbox": {"fc": "white", "ec": "none", "pad": 0.8}, "annotation_clip": False,
    }  # fmt: skip
    if right + room <= 1:
        above.annotate(mark.label, (right, row), xytext=(7, 0), ha="left", **text)
    elif left - room >= 0:
        above.annotate(mark.label, (left, row), xytext=(-7, 0), ha="right", **text)
    else:
        place = math.log(min(max(mark.value, low), high) / low) / math.log(high / low)
        above.annotate(mark.label, (0.75 if place < 0.5 else 0.25, row), xytext=(0, 0), ha="center", **text)


def draw_peers(axes: Axes, peers: Mapping[str, float]) -> None:
    """What other methods suggest, as shapes along the lower edge; close ones stand on each other."""
    low, high = axes.get_xlim()
    last: list[float] = []
    for place, (name, lr) in enumerate(sorted(peers.items(), key=lambda pair: pair[1])):
        at = min(max(math.log(lr / low) / math.log(high / low), 0.006), 0.994)
        row = next((row for row, before in enumerate(last) if at - before > _NEAR), len(last))
        last[row : row + 1] = [at]
        off = {"<": ", off the axis ←", ">": ", off the axis →", None: ""}[_ends(lr, low, high)]
        axes.plot(
            at, _FIRST + _HIGHER * row, _SHAPES[place % len(_SHAPES)], transform=axes.transAxes, ms=6.5, mfc="white",
            mec=INK, mew=1.1, ls="none", zorder=7, label=f"{name.replace('_', ' ')} {number(lr)}{off}",
        )  # fmt: skip
