"""The plot of a backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrtool.report.plots.lettering import label, legend_below, titled
from lrtool.report.plots.schedule import steps_below
from lrtool.report.plots.style import look, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.report.theory.backtest import Backtest


@styled
def draw_backtest(found: Backtest) -> Figure:
    """Measured losses as dots, the law's curve through each run that it has not seen; below, the relative errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.8), layout="constrained")
    losses, errors = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for place, each in enumerate(found.best()):
        kept = each.curve.fitted()
        predicted = each.fit.loss(each.curve.rates, each.curve.warmup, kept.steps)
        losses.plot(kept.steps, kept.losses, ".", ms=3, color=look(place)["color"], alpha=0.5)
        losses.plot(kept.steps, predicted, lw=1.5, label=label(each.curve.name), **look(place))
        errors.plot(kept.steps, 100 * (predicted / kept.losses - 1), lw=1.2, **look(place))
    losses.set_ylabel("loss")
    errors.set_ylabel("error in %")
    errors.axhline(0, color="#262626", lw=0.8)
    steps_below(errors)
    figure.align_ylabels([losses, errors])
    legend_below(figure, [losses])
    how = "test runs" if found.by_test else "each run predicted from the others"
    titled(figure, f"Backtest of the {found.law}: {how}", found.answer)
    return figure
