"""LRs marked on a logarithmic axis: the answers, each in a row of its own above the plot, and others' suggestions.

A row an answer is why no two labels can meet, however close the LRs are. A line down a panel is drawn only where the
panel has data; what lies elsewhere is told in its row.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.report.plots.lettering import fitted, label, width
from lrtool.report.plots.style import INK, log_ticks, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches that a row takes.
_ROW = 0.25
_SIZE = 8.5
#: Inches of a name at most.
LONGEST = 2.4
#: Inches of an axis, roughly: enough to tell on which side of a mark its label fits.
_AXIS = 7.8
#: The shape of each method of others, the same in every figure; in ink, for they are not the answer.
_SHAPES = {
    "valley": "v", "slide": "s", "steep": "D", "steepest": "^", "minimum": "P", "lightning": "X", "stability": "o",
}  # fmt: skip
_MORE_SHAPES = ("<", ">", "p", "h", "*", "d", "8", "H")
#: Parts of the axis: two of these shapes that are nearer stand on each other; so much higher, the first so high.
_NEAR, _HIGHER, _FIRST = 0.017, 0.042, 0.026

Interval = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """An LR and what it is called. `interval` holds it; ends of 0 or infinity are open. `around` is a wider one.

    `value` is None where there is no such LR: the row then holds the name alone. `line`: dashes of the line down the
    plot, None for no line. `shape`: of the point in the row.
    """

    name: str
    value: float | None
    color: str
    line: Any = "-"
    interval: Interval | None = None
    around: Interval | None = None
    bold: bool = False
    shape: str = "o"

    @property
    def label(self) -> str:
        """Name, LR and interval."""
        name = fitted(self.name, 1.15 * LONGEST, _SIZE, self.bold)
        if self.value is None:
            return name
        known = f" ({between(self.interval)})" if self.interval and self.interval[0] < self.interval[1] else ""
        return f"{name} {number(self.value)}{known}"

    @property
    def ends(self) -> list[float]:
        """All LRs that the row shows."""
        return [] if self.value is None else [self.value, *(self.interval or ()), *(self.around or ())]


@dataclass(frozen=True)
class Panel:
    """Axes over LRs, and from which to which LR they have data; None where they have none."""

    axes: Axes
    tried: Interval | None

    def holds(self, lr: float) -> bool:
        """Whether there is data on both sides of an LR, or at it."""
        return self.tried is not None and self.tried[0] <= lr * (1 + 1e-9) and lr <= self.tried[1] * (1 + 1e-9)


def between(interval: Interval) -> str:
    """Both ends of an interval; open ones are unknown.

    >>> between((0.01, 0.2)), between((0.0, math.inf))
    ('0.01 … 0.2', 'unknown … unknown')
    """
    return " … ".join(number(end) if 0 < end < math.inf else "unknown" for end in interval)


def with_rows(figure: Figure, rows: int, heights: Sequence[float]) -> tuple[list[Axes], Axes]:
    """Panels of these heights, in inches, over the same LRs, and above them the axes for so many marks."""
    ratios = (max(_ROW * rows, 0.01), *heights)
    grid = figure.add_gridspec(len(ratios), 1, height_ratios=ratios, hspace=0)
    figure.get_layout_engine().set(hspace=0, h_pad=0.03)  # type: ignore[union-attr,call-arg]
    first = figure.add_subplot(grid[1])
    above = figure.add_subplot(grid[0], sharex=first)
    above.set_axis_off()
    above.set_ylim(max(rows, 1) - 0.5, -0.5)
    panels = [first, *(figure.add_subplot(grid[place], sharex=first) for place in range(2, len(ratios)))]
    for axes in panels[:-1]:
        axes.tick_params(axis="x", labelbottom=False)
    return panels, above


def height(rows: int) -> float:
    """Inches of so many rows."""
    return _ROW * rows


def lr_axis(axes: Axes, low: float, high: float, name: str = "learning rate") -> None:
    """A logarithmic axis from `low` to `high`, with numbers as people write them."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    log_ticks(axes.xaxis, 14, dense=2000)
    axes.set_xlabel(name)


def draw_marks(panels: Sequence[Panel], above: Axes, marks: Sequence[Mark]) -> None:
    """A line down the panels for each mark, and above them, a row each, its label and its interval as a bar."""
    low, high = above.get_xlim()
    for row, mark in enumerate(marks):
        where = ""
        if mark.value is None:
            above.plot(0.01, row, mark.shape, ms=6, color=mark.color, transform=above.get_yaxis_transform())
        else:
            _draw(panels, above, mark, row)
            where = _untried(panels, mark.value, low, high)
        _label(above, mark, mark.label + where, row)


def _draw(panels: Sequence[Panel], above: Axes, mark: Mark, row: int) -> None:
    assert mark.value is not None
    low, high = above.get_xlim()
    at = float(np.clip(mark.value, low, high))
    for panel in panels:
        if mark.line is not None and panel.holds(mark.value):
            panel.axes.axvline(at, color=mark.color, ls=mark.line, lw=2.2 if mark.bold else 1.6, zorder=4 + mark.bold)
    style: dict[str, Any] = {"color": mark.color, "clip_on": False}
    for interval, thick in ((mark.around, 1.2), (mark.interval, 3.5)):
        if interval is not None:
            _bar(above, interval, row, thick, style)
    # What lies beyond the axis is an arrow at its end.
    known = any(panel.holds(mark.value) for panel in panels)
    shape = _arrow(mark.value, low, high) or mark.shape
    above.plot(at, row, shape, ms=6, zorder=3, mfc=mark.color if known else "white", **style)


def _untried(panels: Sequence[Panel], value: float, low: float, high: float) -> str:
    """Words for an LR at which there is no data."""
    if any(panel.holds(value) for panel in panels):
        return ""
    arrow = {"<": "← below", ">": "→ above", None: "not among"}[_arrow(value, low, high)]
    return f"  {arrow} the LRs that were tried"


def shade(panels: Sequence[Panel], interval: Interval, color: str, alpha: float, name: str = "") -> None:
    """An interval down each panel, as far as that has data; none that leaves out nothing, for it tells nothing."""
    for panel in panels:
        if panel.tried is None or interval[0] > panel.tried[1] or interval[1] < panel.tried[0]:
            continue
        if interval[0] <= panel.tried[0] and interval[1] >= panel.tried[1]:
            continue
        panel.axes.axvspan(*np.clip(interval, *panel.tried), color=color, alpha=alpha, lw=0, label=label(name) or None)
        name = ""


def _bar(above: Axes, interval: Interval, row: int, thick: float, style: Mapping[str, Any]) -> None:
    low, high = above.get_xlim()
    first, last = (float(np.clip(end, low, high)) for end in interval)
    above.plot([first, last], [row, row], lw=thick, alpha=0.75, solid_capstyle="butt", zorder=2, **style)
    for end, at in zip(interval, (first, last), strict=True):
        arrow = _arrow(end, low, high)
        if arrow is not None:
            above.plot(at, row, arrow, ms=5, zorder=2, **style)


def _arrow(value: float, low: float, high: float) -> str | None:
    """The arrow for what lies beyond an end of the axis."""
    return "<" if value < low else ">" if value > high else None


def _label(above: Axes, mark: Mark, words: str, row: int) -> None:
    """The label right of all that the row shows, or left of it, or over it where neither side has room."""
    low, high = above.get_xlim()
    shown = np.clip(mark.ends or [low], low, high)
    places = np.log(np.array([shown.min(), shown.max()]) / low) / math.log(high / low)
    room = (width(words, _SIZE, mark.bold) + 0.15) / _AXIS
    left, right = (float(places[0]), float(places[1])) if mark.ends else (0.01, 0.01)
    text: dict[str, Any] = {
        "xycoords": above.get_yaxis_transform(), "textcoords": "offset points", "va": "center_baseline",
        "color": INK, "fontsize": _SIZE, "fontweight": "bold" if mark.bold else "normal", "zorder": 5,
        "bbox": {"fc": "white", "ec": "none", "pad": 0.8}, "annotation_clip": False,
    }  # fmt: skip
    if right + room <= 1:
        above.annotate(words, (right, row), xytext=(7, 0), ha="left", **text)
    elif left - room >= 0:
        above.annotate(words, (left, row), xytext=(-7, 0), ha="right", **text)
    else:
        # Away from the point, and inside the axis.
        at = math.log(float(np.clip(mark.value or low, low, high)) / low) / math.log(high / low)
        centre = min(max(0.75 if at < 0.5 else 0.25, room / 2), 1 - room / 2)
        above.annotate(words, (centre, row), xytext=(0, 0), ha="center", **text)


def shape_of(method: str) -> str:
    """The marker of a method, the same wherever it is drawn."""
    return _SHAPES.get(method) or _MORE_SHAPES[zlib.crc32(method.encode()) % len(_MORE_SHAPES)]


def draw_peers(axes: Axes, peers: Mapping[str, float]) -> None:
    """What other methods suggest, as shapes along the lower edge; close ones stand on each other."""
    low, high = axes.get_xlim()
    last: list[float] = []
    for name, lr in sorted(peers.items(), key=lambda pair: pair[1]):
        at = min(max(math.log(lr / low) / math.log(high / low), 0.006), 0.994)
        row = next((row for row, before in enumerate(last) if at - before > _NEAR), len(last))
        last[row : row + 1] = [at]
        off = {"<": ", off the axis ←", ">": ", off the axis →", None: ""}[_arrow(lr, low, high)]
        axes.plot(
            at, _FIRST + _HIGHER * row, shape_of(name), transform=axes.transAxes, ms=6.5, mfc="white",
            mec=INK, mew=1.1, ls="none", zorder=7, label=label(f"{name.replace('_', ' ')} {number(lr)}{off}"),
        )  # fmt: skip
