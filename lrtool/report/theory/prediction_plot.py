"""The plot of predicted loss curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lrtool.report.plots.lettering import label, legend_below, titled
from lrtool.report.plots.schedule import outline, steps_below
from lrtool.report.plots.style import FAINT, look, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lrtool.report.theory.prediction import LawPrediction, Predicted

#: Losses above this part of a curve's range are its start, and may leave the figure.
_SHOWN = 0.98


@styled
def draw_prediction(found: LawPrediction) -> Figure:
    """Losses of the runs as dots with the law's curve, predictions with their bands; below, the LRs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.8), layout="constrained")
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for place, curve in enumerate(found.curves):
        kept = curve.fitted()
        fitted = found.chosen.fit.loss(curve.rates, curve.warmup, kept.steps)
        losses.plot(kept.steps, kept.losses, ".", ms=2.5, color=FAINT, alpha=0.6)
        losses.plot(kept.steps, fitted, lw=1.2, label=label(f"{curve.name} (fitted)"), **look(place))
        rates.plot(*outline(np.arange(len(curve.rates), dtype=np.float64), curve.rates), lw=1.2, **look(place))
    goals = [*found.predicted, *([found.optimized] if found.optimized is not None else [])]
    for place, each in enumerate(goals, len(found.curves)):
        _predicted(losses, rates, each, place)
    losses.set_ylabel("loss")
    shown = [each.band.loss for each in goals] + [curve.fitted().losses for curve in found.curves]
    low = min(float(each.min()) for each in shown)
    high = max(float(np.quantile(each, _SHOWN)) for each in shown)
    losses.set_ylim(low - 0.05 * (high - low), high + 0.02 * (high - low))
    rates.set_ylabel("learning rate")
    rates.set_ylim(bottom=0)
    steps_below(rates)
    figure.align_ylabels([losses, rates])
    legend_below(figure, [losses])
    titled(figure, f"Loss curves by the {found.chosen.fit.law.name}", found.answer)
    return figure


def _predicted(losses: Axes, rates: Axes, each: Predicted, place: int) -> None:
    style = look(place)
    if each.target.measured is not None:
        measured = each.target.measured.fitted()
        losses.plot(measured.steps, measured.losses, ".", ms=2.5, color=style["color"], alpha=0.5)
    losses.fill_between(each.band.steps, each.band.low, each.band.high, color=style["color"], alpha=0.15, lw=0)
    losses.plot(each.band.steps, each.band.loss, lw=2, label=label(f"{each.target.name} (predicted, 90%)"), **style)
    rates.plot(*outline(np.arange(len(each.target.rates), dtype=np.float64), each.target.rates), lw=2, **style)
