"""The plot of a range test: loss against learning rate, with what was read off it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.range_test import Estimate, RangeTestResult
from lrtool.report.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILION, number, styled, titled
from lrtool.report.thinning import thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: What is drawn at most: blocks of a seed's line, points of the mean, raw points over all seeds.
_BLOCKS, _LINE, _POINTS = 300, 1000, 4000
#: Methods of others are drawn as ticks of these shapes, in one grey: they are not the answer.
_MARKERS = ("v", "s", "D", "^", "P", "X", "o", "<", ">")


@dataclass(frozen=True)
class RangeTestPlot:
    """A range test as arrays: `lr` (steps,), `losses` and `smoothed` (seeds, steps), NaN after a stop.

    `mean`, `band_low`, `band_high`: (steps,), over seeds. `validation`: (LRs, losses) per seed. `methods`:
    what other methods suggest. `source`: what the suggestion was read off. `reason`: why there is none.
    """

    title: str
    lr: Array
    losses: Array
    smoothed: Array
    mean: Array
    band_low: Array
    band_high: Array
    lower: Estimate | None = None
    upper: Estimate | None = None
    suggestion: Estimate | None = None
    source: str = ""
    reason: str = ""
    validation: Sequence[tuple[Array, Array]] = ()
    methods: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, result: RangeTestResult, name: str, validation: Sequence[tuple[Array, Array]] = ()) -> Self:
        """From the analysis of a test of the task `name`."""
        known = {kind: said.lr for kind, said in result.methods.items()}
        chosen = result.suggestion.value if result.suggestion else None
        return cls(
            title=f"{name}: learning-rate range test",
            lr=result.lr,
            losses=result.losses,
            smoothed=result.smoothed,
            mean=result.mean,
            band_low=result.band_low,
            band_high=result.band_high,
            lower=result.lower,
            upper=result.upper,
            suggestion=result.suggestion,
            source=result.source,
            reason=result.reason.value if result.reason else "",
            validation=validation,
            methods={kind: lr for kind, lr in known.items() if lr is not None and lr > 0 and lr != chosen},
        )

    @property
    def answer(self) -> str:
        """What the test says, in words."""
        if self.suggestion is None:
            return f"No suggestion: {self.reason}" if self.reason else "No suggestion"
        parts = [f"Suggested peak LR {_interval(self.suggestion)}, from {self.source}"]
        if self.lower is not None:
            parts.append(f"loss falls from {number(self.lower.value)}")
        if self.upper is not None:
            parts.append(f"explodes from {number(self.upper.value)}")
        return "; ".join(parts)

    @property
    def span(self) -> tuple[float, float]:
        """The LRs to draw: the ramp's, and a suggestion that probes found beyond them."""
        ends = [float(self.lr[0]), float(self.lr[-1])]
        if self.suggestion is not None:
            found = (self.suggestion.low, self.suggestion.value, self.suggestion.high)
            ends += [lr for lr in found if math.isfinite(lr) and lr > 0]
        return min(ends) / 1.1, max(ends) * 1.1


@styled
def draw_range_test(plot: RangeTestPlot) -> Figure:
    """Raw points, smoothed seeds, their mean and band; bounds, suggestion and other methods marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(9, 5.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlim(*plot.span)
    axes.xaxis.set_major_locator(LogLocator(numticks=14))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = _limits(plot)
    axes.set_ylim(low, high)
    _draw_curves(axes, plot)
    _draw_answers(axes, plot)
    _draw_methods(axes, plot.methods)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss" if not plot.validation else "loss")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, columnspacing=1.6)
    titled(figure, axes, plot.title, plot.answer)
    if plot.suggestion is None and not np.isfinite(plot.losses).any():
        axes.text(0.5, 0.5, "no finite loss was measured", transform=axes.transAxes, ha="center", fontsize=12)
    return figure


def _limits(plot: RangeTestPlot) -> tuple[float, float]:
    """What lies between the lowest loss and a little above the start: an explosion leaves at the top."""
    finite = plot.losses[np.isfinite(plot.losses)]
    if not finite.size:
        return 0.0, 1.0
    first = plot.losses[:, : max(5, plot.losses.shape[1] // 10)]
    begun = first[np.isfinite(first)]
    start = float(np.median(begun)) if begun.size else float(np.median(finite))
    noise = float(np.quantile(begun, 0.95) - np.quantile(begun, 0.05)) if begun.size else 0.0
    low = float(np.quantile(finite, 0.01))
    curve = plot.mean[np.isfinite(plot.mean)]
    low = min(low, float(curve.min())) if curve.size else low
    room = max(start - low, noise, abs(start) * 0.05, 1e-12)
    high = min(start + 0.6 * room + noise / 2, float(finite.max()) + 0.15 * room)
    if plot.upper is not None and curve.size and curve.max() > start:
        high = min(high, float(curve.max()) - 0.02 * room)  # where the analysis cuts explosions off, nothing is seen
    return low - 0.12 * room, max(high, start + noise / 2)


def _draw_curves(axes: Axes, plot: RangeTestPlot) -> None:
    stride = max(1, len(plot.lr) // _LINE)
    every = max(1, -(-plot.losses.size // _POINTS))
    label = "each update" if every == 1 else f"one of {every} updates"
    for losses in plot.losses:
        axes.plot(plot.lr[::every], losses[::every], ".", ms=4.5, color=GREY, alpha=0.5, mew=0, label=label, zorder=2)
        label = ""
    if len(plot.losses) > 1:
        label = "each seed, exponential mean (lags)"
        for smooth in plot.smoothed:
            few = thin(np.log(plot.lr), smooth, _BLOCKS)
            axes.plot(np.exp(few.x), few.mean, color=BLUE, lw=0.9, alpha=0.4, label=label, zorder=3)
            label = ""
        lr, low, high = (values[::stride] for values in (plot.lr, plot.band_low, plot.band_high))
        axes.fill_between(lr, low, high, color=BLUE, alpha=0.15, lw=0, label="band over seeds")
    label = "mean over seeds" if len(plot.losses) > 1 else "smoothed"
    known = np.isfinite(plot.mean)
    if known.any():
        axes.plot(plot.lr[known][::stride], plot.mean[known][::stride], color=BLUE, lw=2.2, label=label, zorder=5)
    label = "validation"
    for rates, loss in plot.validation:
        axes.plot(rates, loss, "-o", color=PURPLE, ms=3, lw=1, alpha=0.8, label=label, zorder=4)
        label = ""


def _draw_answers(axes: Axes, plot: RangeTestPlot) -> None:
    if plot.lower is not None:
        axes.axvline(
            plot.lower.value, color=ORANGE, ls="--", lw=1.5, label=f"starts to fall {number(plot.lower.value)}"
        )
    if plot.upper is not None:
        label = f"starts to explode {number(plot.upper.value)}"
        axes.axvline(plot.upper.value, color=VERMILION, ls="-.", lw=1.5, label=label)
    chosen = plot.suggestion
    if chosen is None:
        return
    axes.axvspan(chosen.low, chosen.high, color=GREEN, alpha=0.15, lw=0, label="interval of the suggestion")
    axes.axvline(chosen.value, color=GREEN, lw=2.2, label=f"suggested {number(chosen.value)}", zorder=6)


def _draw_methods(axes: Axes, methods: Mapping[str, float]) -> None:
    """Other methods as marks on the lower edge, so that they do not cover the curve."""
    for place, (name, lr) in enumerate(sorted(methods.items(), key=lambda pair: pair[1])):
        marker = _MARKERS[place % len(_MARKERS)]
        style: dict[str, Any] = {"ms": 6.5, "mfc": "white", "mec": INK, "mew": 1.1, "ls": "none", "zorder": 7}
        label = f"{name.replace('_', ' ')} {number(lr)}"
        axes.plot(lr, 0.025, marker, transform=axes.get_xaxis_transform(), label=label, **style)


def _interval(estimate: Estimate) -> str:
    return f"{number(estimate.value)} ({number(estimate.low)} … {number(estimate.high)})"
