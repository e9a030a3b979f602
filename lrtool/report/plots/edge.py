"""Trials that a plot over LRs cannot show, counted along its upper edge: those that diverged or are off the scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.report.plots.lettering import width
from lrtool.report.plots.style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Array = NDArray[np.float64]

_SIZE = 8.5
#: Inches of the axis, roughly, and between two counts.
_AXIS, _APART = 7.8, 0.06
#: Factor within which the greatest losses are taken for the same.
_ALIKE = 1.05
#: Part of the axis that a row of counts takes.
ROW = 0.06


def loss_range(losses: Array, narrow: float = 5.0) -> tuple[float, float]:
    """Between which losses lies what is drawn: the worst are off the scale, and counted in the room above it.

    Losses that differ by less than the factor `narrow` are all on the scale.
    """
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        return 0.0, 1.0
    low, high = float(losses.min()), float(losses.max())
    if not 0 < high < narrow * low:
        # A little more, for losses of models that learn nothing are all but the same.
        high = min(high, float(np.quantile(losses, 0.9)) * _ALIKE)
    return low, max(min(high, low * 20), low * 1.2) if low > 0 else high


def end_at(axes: Axes, line: Line2D, most: float) -> None:
    """Let a line leave the plot at `most`: above it are counts, among which its points would seem to be drawn."""
    from matplotlib.patches import Rectangle

    low = axes.get_ylim()[0]
    line.set_clip_path(Rectangle((0, low), 1, most - low, transform=axes.get_yaxis_transform()))


def draw_counts(axes: Axes, lr: Array, loss: Array, most: float, color: str, row: int, lost: str = "diverged") -> None:
    """How many trials diverged (×), and how many end above `most` (↑), in this row below the upper edge.

    LRs whose counts would meet are counted together. `lost`: what the legend calls those that diverged.
    """
    for group in _groups(axes, lr, loss, most):
        axes.annotate(
            _counts(loss[group], most), (math.exp(np.log(lr[group]).mean()), 0.985 - ROW * row),
            xycoords=axes.get_xaxis_transform(), ha="center", va="top", color=color, fontsize=_SIZE,
            fontweight="bold", zorder=6, bbox={"fc": "white", "ec": "none", "pad": 0.3},
        )  # fmt: skip
    signs: dict[str, tuple[Any, bool]] = {
        f"{lost} (×), how many": ("x", bool((~np.isfinite(loss)).any())),
        "off the scale (↑), how many": (_up(), bool((loss[np.isfinite(loss)] > most).any())),
    }
    for name, (sign, shown) in signs.items():
        if shown and name not in axes.get_legend_handles_labels()[1]:
            axes.plot([], [], marker=sign, ms=7, color=INK, ls="none", label=name)


def _up() -> Any:
    """The arrow of the counts as a marker."""
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    arrow = TextPath((0, 0), "↑", size=10)
    middle = (arrow.vertices.min(axis=0) + arrow.vertices.max(axis=0)) / 2
    return Path(arrow.vertices - middle, arrow.codes)


def _counts(loss: Array, most: float) -> str:
    lost, off = int((~np.isfinite(loss)).sum()), int((loss[np.isfinite(loss)] > most).sum())
    return " ".join(f"{sign}{count}" for sign, count in (("×", lost), ("↑", off)) if count)


def _groups(axes: Axes, lr: Array, loss: Array, most: float) -> list[NDArray[np.bool_]]:
    """Trials by LR, as masks, those with a count; neighbours whose words would overlap are one group."""
    low, high = np.log(axes.get_xlim())
    groups: list[NDArray[np.bool_]] = []
    end = -math.inf
    for each in np.unique(lr):
        of_lr = lr == each
        words = _counts(loss[of_lr], most)
        if not words:
            continue
        centre, half = (math.log(each) - low) / (high - low) * _AXIS, width(words, _SIZE, bold=True) / 2
        if groups and centre - half < end + _APART:
            groups[-1] = groups[-1] | of_lr
        else:
            groups.append(of_lr)
        placed = np.log(lr[groups[-1]]).mean()
        words = _counts(loss[groups[-1]], most)
        end = (placed - low) / (high - low) * _AXIS + width(words, _SIZE, bold=True) / 2
    return groups
