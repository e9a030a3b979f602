"""The plot of a range test: loss against learning rate, with what was read off it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.range_test_result import LrEstimate, Probe, RangeTestResult
from lrtool.report.plots.axes import set_limits
from lrtool.report.plots.lettering import legend_below, titled
from lrtool.report.plots.marks import (
    Mark,
    Panel,
    between,
    draw_marks,
    draw_peers,
    height,
    lr_axis,
    shade,
    with_rows,
)
from lrtool.report.plots.probes import draw_probes, tried
from lrtool.report.plots.style import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    VIOLET,
    number,
    styled,
)
from lrtool.report.thinning import thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: What is drawn at most: blocks of a seed's line, points of the mean, raw points over all seeds.
_BLOCKS, _LINE, _POINTS = 300, 1000, 4000
#: The answers.
_FALLS, _SUGGESTED, _HOLDS, _EXPLODES = "starts to fall", "suggested", "does not blow up until", "starts to explode"
_CRITICAL = "one update raises the loss at"
#: Its dashes: those of the others stand beside them.
_DOT_DOT = (0, (5, 1.2, 1, 1.2, 1, 1.2))
#: Inches of the panels: the ramp alone, or ramp and probes.
_ALONE, _BOTH = (4.0,), (3.3, 2.5)


@dataclass(frozen=True)
class RangeTestPlot:
    """A range test as arrays: `lr` (steps,), `losses` and `smoothed` (seeds, steps), NaN after a stop.

    `mean`, `band_low`, `band_high`: (steps,), over seeds. `validation`: (LRs, losses) per seed. `methods`:
    what other methods suggest. `source`: what the suggestion was read off; `caveats`: what to know about it.
    `left_out`: what the budget did not hold. `reason`: why there is none. `stability`: up to which LR training does not
    blow up. `critical`: at which LR one update raises the loss. `probes`: the short trainings that the suggestion rests
    on.
    """

    title: str
    lr: Array
    losses: Array
    smoothed: Array
    mean: Array
    band_low: Array
    band_high: Array
    lower: LrEstimate | None = None
    upper: LrEstimate | None = None
    suggestion: LrEstimate | None = None
    source: str = ""
    reason: str = ""
    validation: Sequence[tuple[Array, Array]] = ()
    methods: Mapping[str, float] = field(default_factory=dict)
    stability: LrEstimate | None = None
    caveats: Sequence[str] = ()
    probes: Sequence[Probe] = ()
    left_out: Sequence[str] = ()
    critical: LrEstimate | None = None

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
            stability=result.stability,
            caveats=[caveat.value for caveat in result.caveats],
            source=result.source,
            reason=result.reason.value if result.reason else "",
            validation=validation,
            probes=result.probes,
            left_out=result.left_out,
            critical=result.critical,
            methods={kind: lr for kind, lr in known.items() if lr is not None and lr > 0 and lr != chosen},
        )

    @property
    def answer(self) -> str:
        """What the test says, in words, and what to know about it."""
        if self.suggestion is None:
            return f"No suggestion: {self.reason or 'the loss supports none'}"
        interval = between((self.suggestion.low, self.suggestion.high))
        said = f"Suggested peak LR {number(self.suggestion.value)} ({interval}), from {self.source}"
        notes = [f"Note: {caveat}" for caveat in self.caveats]
        left_out = [f"Left out to stay within the budget: {'; '.join(self.left_out)}"] * bool(self.left_out)
        return "\n".join([said, *notes, *left_out])

    @property
    def marks(self) -> list[Mark]:
        """The LRs that were found, named, from the smallest to the largest."""
        found = (
            (_FALLS, self.lower, ORANGE, DASHES[1]),
            (_SUGGESTED, self.suggestion, GREEN, DASHES[0]),
            (_HOLDS, self.stability, VIOLET, DASHES[2]),
            (_CRITICAL, self.critical, SKY, _DOT_DOT),
            (_EXPLODES, self.upper, VERMILION, DASHES[3]),
        )
        marks = [
            Mark(name, said.value, color, line, (said.low, said.high), bold=name == _SUGGESTED)
            for name, said, color, line in found
            if said is not None
        ]
        return sorted(marks, key=lambda mark: mark.value or 0.0)

    @property
    def ramped(self) -> tuple[float, float] | None:
        """From which to which LR the ramp has a loss; None where it has none."""
        known = self.lr[np.isfinite(self.losses).any(axis=0)]
        return (float(known[0]), float(known[-1])) if known.size else None

    @property
    def span(self) -> tuple[float, float]:
        """The LRs to draw: those of the ramp and of the probes, and no others."""
        known = [float(self.lr[0]), float(self.lr[-1]), *(probe.lr for probe in self.probes)]
        return min(known) / 1.15, max(known) * 1.15


@styled
def draw_range_test(plot: RangeTestPlot) -> Figure:
    """The ramp: raw points, smoothed seeds, their mean and band; below it the probes; the answers in rows above."""
    from matplotlib.figure import Figure

    marks, heights = plot.marks, _BOTH if plot.probes else _ALONE
    figure = Figure(figsize=(9, 0.8 + sum(heights) + height(len(marks))), layout="constrained")
    (ramp, *more), above = with_rows(figure, len(marks), heights)
    lr_axis(ramp, *plot.span, name="" if more else "learning rate")
    panels = [Panel(ramp, plot.ramped), *(Panel(axes, tried(plot.probes)) for axes in more)]
    set_limits(ramp.yaxis, *_seen(plot), above=0)
    if plot.ramped is not None:
        _draw_curves(ramp, plot)
    for axes in more:
        draw_probes(axes, plot.probes)
        axes.set_xlabel("learning rate")
    draw_marks(panels, above, marks)
    for mark in marks:
        if mark.interval is not None and mark.name == _SUGGESTED:
            shade(panels, mark.interval, mark.color, 0.13)
    draw_peers(ramp, plot.methods)
    ramp.set_ylabel(f"{'loss' if plot.validation else 'training loss'}{', LR ramp' if more else ''}")
    if plot.ramped is None:
        ramp.set_yticks([])
        ramp.text(0.5, 0.5, "no finite loss was measured", transform=ramp.transAxes, ha="center", fontsize=12)
    figure.align_ylabels([ramp, *more])
    legend_below(figure, [ramp, *more], most=4)
    titled(figure, plot.title, plot.answer)
    return figure


def _seen(plot: RangeTestPlot) -> tuple[float, float]:
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
    return low, max(high, start + noise / 2)


def _draw_curves(axes: Axes, plot: RangeTestPlot) -> None:
    stride = max(1, len(plot.lr) // _LINE)
    every = max(1, -(-plot.losses.size // _POINTS))
    label = "each update" if every == 1 else f"one of {every} updates"
    for losses in plot.losses:
        axes.plot(plot.lr[::every], losses[::every], ".", ms=4.5, color=GREY, alpha=0.5, mew=0, label=label, zorder=2)
        label = ""
    if len(plot.losses) > 1:
        label = "a seed, smoothed (lags)"
        for smooth in plot.smoothed:
            few = thin(np.log(plot.lr), smooth, _BLOCKS)
            axes.plot(np.exp(few.x), few.mean, color=BLUE, lw=0.9, alpha=0.4, label=label, zorder=3)
            label = ""
        lr, low, high = (values[::stride] for values in (plot.lr, plot.band_low, plot.band_high))
        axes.fill_between(lr, low, high, color=BLUE, alpha=0.15, lw=0, label="range over seeds")
    label = "mean over seeds" if len(plot.losses) > 1 else "smoothed"
    known = np.isfinite(plot.mean)
    if known.any():
        axes.plot(plot.lr[known][::stride], plot.mean[known][::stride], color=BLUE, lw=2.2, label=label, zorder=5)
    label = "validation"
    for rates, loss in plot.validation:
        axes.plot(rates, loss, "-o", color=PURPLE, ms=3, lw=1, alpha=0.8, label=label, zorder=4)
        label = ""
