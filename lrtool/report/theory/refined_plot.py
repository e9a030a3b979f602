"""The plot of a refined schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lrtool.report.plots.lettering import legend_below, titled
from lrtool.report.plots.schedule import outline, steps_below
from lrtool.report.plots.style import FAINT, log_ticks, look, styled
from lrtool.report.thinning import running_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.report.theory.refined import Refined


@styled
def draw_refined(found: Refined) -> Figure:
    """Parts of the peak of the refined schedule and of the run's own; below, the norms of the gradients."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    curves, norms = figure.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    steps = np.arange(len(found.factors), dtype=np.float64)
    curves.plot(*outline(steps, found.factors), lw=2, label="refined", **look(0))
    highest = float(found.rates.max())
    if highest > 0:
        own = found.rates[: len(steps)] / highest
        curves.plot(*outline(steps[: len(own)], own), label="the run's own", **look(1))
    curves.set_ylim(bottom=0)
    curves.set_ylabel("part of the peak LR")
    norms.plot(*outline(steps, found.norms), color=FAINT, lw=0.6)
    norms.plot(*outline(steps, running_mean(found.norms, max(1, len(steps) // 10))), **look(0))
    norms.set_yscale("log")
    log_ticks(norms.yaxis)
    norms.set_ylabel(f"gradient norm ({found.norm.upper()})")
    steps_below(norms)
    figure.align_ylabels([curves, norms])
    legend_below(figure, [curves])
    titled(figure, f"Refined schedule of {found.config.name}", found.answer)
    return figure
