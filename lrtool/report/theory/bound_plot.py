"""The plot of the convergence bound: curves at their best peak, and the bound as training goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lrtool.report.plots.lettering import label, legend_below, titled
from lrtool.report.plots.schedule import outline, steps_below
from lrtool.report.plots.style import log_ticks, look, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.report.theory.bound import BoundRanking

#: What lies above this many times the least bound only says that nothing is learned yet.
_SHOWN = 12.0


@styled
def draw_bound(ranking: BoundRanking) -> Figure:
    """LR at γ* against step above, the bound Ω after as many steps below, on a log axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.4), layout="constrained")
    curves, bounds = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.3))
    for place, each in enumerate(ranking.schedules):
        marker = "o" if each.steps == 1 else None
        steps, heights = outline(np.arange(each.steps, dtype=np.float64), each.rates)
        curves.plot(steps, heights, marker=marker, label=label(each.name), **look(place))
        bounds.plot(each.at, each.over_time, marker=marker, **look(place))
        bounds.plot(each.at[-1], each.over_time[-1], "o", ms=4, color=look(place)["color"])
    curves.set_ylim(bottom=0)
    curves.set_ylabel("LR at γ*")
    least = min(each.omega for each in ranking.schedules)
    last = max(each.omega for each in ranking.schedules)
    bounds.set_yscale("log")
    bounds.set_ylim(0.9 * least, max(_SHOWN * least, 1.2 * last))
    log_ticks(bounds.yaxis)
    bounds.set_ylabel("bound Ω on the loss above the least")
    steps_below(bounds)
    figure.align_ylabels([curves, bounds])
    if len(ranking.schedules) > 1:
        legend_below(figure, [curves])
    titled(figure, "Convergence bound of the last iterate", ranking.answer)
    return figure
