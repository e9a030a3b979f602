"""The panel of a range test's probes: the final loss of each short training against its LR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.range_test_result import Probe
from lrtool.report.plots.axes import is_wide, set_limits
from lrtool.report.plots.edge import ROW, draw_counts, end_at, loss_range
from lrtool.report.plots.style import BLUE, DASHES, GREY, INK, ORANGE, SKY, VERMILION, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

#: Probes that were made longer: the longest are what the suggestion rests on, hence the main colour.
_COLORS = (BLUE, VERMILION, GREY, ORANGE, SKY)
#: Room below the least loss, as a part of what lies between it and the greatest.
_BELOW = 0.1
_NARROW = 5.0


def tried(probes: Sequence[Probe]) -> tuple[float, float] | None:
    """From which to which LR there are probes; None where there are none."""
    lrs = [probe.lr for probe in probes]
    return (min(lrs), max(lrs)) if lrs else None


def draw_probes(axes: Axes, probes: Sequence[Probe]) -> None:
    """A point a training, a line through the medians of each length; those that blew up are counted along the top."""
    lengths = sorted({probe.steps for probe in probes}, reverse=True)
    low, most = loss_range(np.array([probe.loss for probe in probes]))
    above = 0.08 + ROW * len(lengths)
    set_limits(axes.yaxis, low, most, log=is_wide(low, most, _NARROW), below=_BELOW, above=above, ticks=8)
    for place, steps in enumerate(lengths):
        _draw_length(axes, [probe for probe in probes if probe.steps == steps], most, place)
    if not any(np.isfinite(probe.loss) for probe in probes):
        axes.set_yticks([])
        axes.text(0.5, 0.45, "every short training blew up", transform=axes.transAxes, ha="center", color=INK)
    axes.set_ylabel("final loss,\nshort trainings")


def _draw_length(axes: Axes, probes: Sequence[Probe], most: float, place: int) -> None:
    lr, loss = (np.array([getattr(probe, name) for probe in probes]) for name in ("lr", "loss"))
    color, shape = _COLORS[place % len(_COLORS)], marker(place)
    inside = np.isfinite(loss) & (loss <= most)
    seeds = len({probe.seed for probe in probes})
    steps = f"{probes[0].steps:,} update{'' if probes[0].steps == 1 else 's'}"
    if inside.any():
        name = f"training of {steps}" + (", a seed" if seeds > 1 else "")
        axes.plot(lr[inside], loss[inside], shape, ms=4.5, color=color, alpha=0.55, mew=0, label=name, zorder=3)
    at, median = _medians(lr, loss)
    if inside.any() and len(at) > 1:
        name = f"median of seeds, {steps}" if seeds > 1 else ""
        (line,) = axes.plot(at, median, color=color, ls=DASHES[place % len(DASHES)], lw=1.6, label=name, zorder=4)
        end_at(axes, line, most)
    draw_counts(axes, lr, loss, most, color, place, lost="blew up")


def _medians(lr: Array, loss: Array) -> tuple[Array, Array]:
    """The median over the seeds at each LR, one that blew up above all others; NaN where it is one of those."""
    at = np.unique(lr)
    worst = np.where(np.isfinite(loss), loss, np.inf)
    with np.errstate(invalid="ignore"):
        median = np.array([float(np.median(worst[lr == each])) for each in at])
    return at, np.where(np.isfinite(median), median, np.nan)
