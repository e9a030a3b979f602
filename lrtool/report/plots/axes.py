"""Where an axis begins and ends, and whether it is logarithmic: one rule for every figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrtool.report.plots.style import log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

Array = NDArray[np.float64]

#: Losses this many times the best only say "bad", and may leave the figure.
BAD = 30.0
#: Room beyond the lowest and the highest value, as a part of what lies between them.
_ROOM = 0.08
#: What lies between them counts as at least this part of the highest, lest a constant's rounding fill the figure.
_LEAST = 0.02


def is_wide(low: float, high: float, times: float = 4.0) -> bool:
    """Whether values are above 0 and span more than this factor, so that a log axis shows more of them.

    >>> is_wide(0.1, 1.0), is_wide(0.5, 1.0), is_wide(0.0, 1.0)
    (True, False, False)
    """
    return low > 0 and high > times * low


def limits(
    low: float, high: float, *, log: bool = False, below: float = _ROOM, above: float = _ROOM, least: float = _LEAST
) -> tuple[float, float]:
    """The ends of an axis for values from `low` to `high`, with room as parts of what lies between them.

    On a log axis that is measured in the logarithm.

    >>> limits(0.0, 1.0), limits(0.01, 1.0, log=True, below=0.5, above=0.0)
    ((-0.08, 1.08), (0.001, 1.0))
    """
    if log:
        return low * (low / high) ** below, high * (high / low) ** above
    between = max(high - low, max(abs(low), abs(high)) * least) or 1.0
    return low - below * between, high + above * between


def set_limits(
    axis: Axis,
    low: float,
    high: float,
    *,
    log: bool = False,
    below: float = _ROOM,
    above: float = _ROOM,
    least: float = _LEAST,
    ticks: int = 12,
) -> None:
    """Make an axis hold values from `low` to `high`; a log one gets about so many `ticks` in plain numbers."""
    axes, ends = axis.axes, limits(low, high, log=log, below=below, above=above, least=least)
    of_x = axis is axes.xaxis
    if log:
        (axes.set_xscale if of_x else axes.set_yscale)("log")
    (axes.set_xlim if of_x else axes.set_ylim)(*ends)
    if log:
        log_ticks(axis, ticks)


def from_zero(axes: Axes, lowest: float) -> None:
    """Begin the y axis at 0, where nothing that is drawn lies below."""
    if lowest >= 0:
        axes.set_ylim(bottom=0)
