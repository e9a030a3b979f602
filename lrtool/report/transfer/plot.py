"""The plot of a transfer: every best LR along every key with the law, and every loss around its best LR."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer.extrapolate import Transferred
from lrtool.report.plots.lettering import legend_below, titled
from lrtool.report.plots.style import INK, PALETTE, log_ticks, styled
from lrtool.report.transfer.words import answer, law_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Inches of a panel's height, and panels side by side.
_HEIGHT, _ACROSS = 3.3, 2
_ANSWER, _MEASURED, _LAW = PALETTE[1], PALETTE[0], INK
_DASHED = (0, (2, 2))
#: Room beside the outermost markers, as a part of what is drawn.
_ROOM = 0.04
#: Losses this many times the depth of the shape above the best are drawn at the upper edge.
_OFF = 3.0


@dataclass(frozen=True)
class KeyPanel:
    """The best LR along one key, all else as at the target.

    `value`, `lr`, `low`, `high`, `edge` (cells,): measured, moved along the law to the target's other keys; `grid`,
    `law`, `below`, `above`: the law with its 95% interval; `target`, `answer`, `interval`: what it says. `refused`:
    that it is no answer but the best guess, None where there is not even one.
    """

    key: str
    value: Array
    lr: Array
    low: Array
    high: Array
    edge: NDArray[np.bool_]
    moved: bool
    grid: Array
    law: Array
    below: Array
    above: Array
    target: float
    answer: float | None
    interval: tuple[float, float] | None
    refused: bool


@dataclass(frozen=True)
class LossPanel:
    """Every measured loss. `ratio` (n,): its LR over its cell's best; `above` (n,): over that cell's least loss.

    NaN where it diverged. `grid`, `shape`: what all cells have in common; empty where no best LRs are known: then
    `ratio` is the LR itself, and `above` the loss.
    """

    ratio: Array
    above: Array
    grid: Array
    shape: Array
    unit: str


@dataclass(frozen=True)
class TransferPlot:
    """All panels of a transfer, and its answer in words."""

    title: str
    answer: str
    keys: Sequence[KeyPanel]
    losses: LossPanel

    @classmethod
    def of(cls, found: Transferred, name: str) -> TransferPlot:
        """What is drawn of a transfer, also of one that was refused."""
        said = answer(found)
        if found.law is not None:
            logs = np.log([found.target[key] for key in found.keys])
            said += f"\n{law_text(found.law, logs)}"
        panels = [_key_panel(found, place) for place in range(len(found.keys))] if found.optima is not None else []
        return cls(f"{name}: how the best LR moves", said, panels, _loss_panel(found))


def _key_panel(found: Transferred, place: int) -> KeyPanel:
    optima, law, key = found.optima, found.law, found.keys[place]
    assert optima is not None
    logs = np.log([found.target[each] for each in found.keys])
    shifts, nothing = np.zeros(len(optima.x)), np.empty(0)
    grid = fit = half = nothing
    if law is not None:
        there = np.tile(logs, (len(optima.x), 1))
        there[:, place] = optima.at[:, place]
        shifts = law.law.at(there) - law.law.at(optima.at)
        values = np.append(optima.at[:, place], logs[place])
        grid = np.linspace(values.min(), values.max(), 101)
        along = np.tile(logs, (len(grid), 1))
        along[:, place] = grid
        fit, half = np.array([law.predict(row) for row in along]).T
    x = optima.x + shifts
    said = found.guess if found.lr is None else None
    lr, interval = (said.lr, said.interval) if said is not None else (found.lr, found.interval)
    return KeyPanel(
        key, np.exp(optima.at[:, place]), np.exp(x), np.exp(x - optima.error), np.exp(x + optima.error), optima.edge,
        bool(np.abs(shifts).max() > 0.01), np.exp(grid), np.exp(fit), np.exp(fit - half), np.exp(fit + half),
        float(found.target[key]), lr, interval, found.lr is None,
    )  # fmt: skip


def _loss_panel(found: Transferred) -> LossPanel:
    points, optima, nothing = found.points, found.optima, np.empty(0)
    if optima is None:
        return LossPanel(points.lr, points.loss, nothing, nothing, "loss")
    scale = points.scale
    ratios, above = [], []
    for cell, x, least in zip(found.cells, optima.x, optima.least, strict=True):
        ratios.append(np.exp(cell.x - x))
        above.append(_over(cell.y, float(least), scale.logarithmic))
    grid = np.linspace(-1.6, 1.6, 161)
    curvature = float(np.median(optima.shape.curvature(optima.at)))
    unit = "loss above its least, %" if scale.logarithmic else "loss above its least"
    shape = _over(optima.shape.above(grid, curvature), 0.0, scale.logarithmic)
    return LossPanel(np.concatenate(ratios), np.concatenate(above), np.exp(grid), shape, unit)


def _over(y: Array, least: float, logarithmic: bool) -> Array:
    return 100 * np.expm1(y - least) if logarithmic else y - least


@styled
def draw_transfer(plot: TransferPlot) -> Figure:
    """A panel for each key, and one for the losses."""
    from matplotlib.figure import Figure

    count = len(plot.keys) + 1
    across = min(_ACROSS, count)
    down = math.ceil(count / across)
    figure = Figure(figsize=(9, _HEIGHT * down + 0.2), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).reshape(-1)
    for axes, panel in zip(grid, plot.keys, strict=False):
        _draw_key(axes, panel)
    _draw_losses(grid[count - 1], plot.losses)
    for axes in grid[count:]:
        axes.set_axis_off()
    _explain(grid[0], plot)
    legend_below(figure, [grid[0]], most=5)
    titled(figure, plot.title, plot.answer)
    return figure


def _draw_key(axes: Axes, panel: KeyPanel) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    if panel.grid.size:
        axes.fill_between(panel.grid, panel.below, panel.above, color=_LAW, alpha=0.08, lw=0)
        axes.plot(panel.grid, panel.law, "-", lw=1.6, color=_LAW, zorder=2)
    axes.vlines(panel.value, panel.low, panel.high, color=_MEASURED, lw=1.0, alpha=0.5)
    for edge, face in ((False, _MEASURED), (True, "white")):
        here = panel.edge == edge
        axes.plot(
            panel.value[here], panel.lr[here], "o", ms=4.5, mec=_MEASURED, mfc=face, alpha=0.8, ls="none", zorder=3
        )
    if panel.refused:
        axes.axvline(panel.target, color=_ANSWER, ls=_DASHED, lw=1.2, zorder=1)
    if panel.answer is not None and panel.interval is not None:
        axes.vlines(panel.target, *panel.interval, color=_ANSWER, lw=1.2 if panel.refused else 2.2, zorder=4)
        axes.plot(panel.target, panel.answer, "D", **_marked(panel.refused), zorder=5)
    axes.margins(x=_ROOM)
    log_ticks(axes.xaxis, 8)
    log_ticks(axes.yaxis, 10)
    axes.set_xlabel(panel.key)
    axes.set_ylabel("best LR, other keys as asked for" if panel.moved else "best LR")


def _draw_losses(axes: Axes, panel: LossPanel) -> None:
    known = np.isfinite(panel.above)
    axes.set_xscale("log")
    if not panel.grid.size:
        axes.plot(panel.ratio[known], panel.above[known], "o", ms=3, color=_MEASURED, alpha=0.5)
        axes.set_xlabel("LR")
        axes.set_ylabel(panel.unit)
        if not known.any():
            axes.set_yticks([])
            axes.text(0.5, 0.5, "every point diverged", transform=axes.transAxes, ha="center", fontsize=12)
        log_ticks(axes.xaxis, 8)
        return
    most = max(_OFF * float(np.median(panel.shape)), 1.1 * float(panel.shape.max()), 1e-12)
    inside = known & (panel.above <= most)
    axes.plot(panel.grid, panel.shape, "-", lw=1.6, color=_LAW, zorder=3)
    axes.plot(panel.ratio[inside], panel.above[inside], "o", ms=3, color=_MEASURED, alpha=0.35, zorder=2)
    off = ~inside
    if off.any():  # an empty line that is not clipped would count in the layout, at the figure's corner
        at = np.full(int(off.sum()), most)
        axes.plot(panel.ratio[off], at, "^", ms=4, color=_MEASURED, alpha=0.35, zorder=2, clip_on=False)
    least = float(panel.above[inside].min()) if inside.any() else 0.0
    axes.margins(x=_ROOM)
    axes.set_ylim(min(0.0, least) - 0.05 * most, most)
    axes.set_xlabel("LR ÷ best LR of its cell" + (" (▲: above, or diverged)" if off.any() else ""))
    axes.set_ylabel(panel.unit)
    log_ticks(axes.xaxis, 8)


def _explain(axes: Axes, plot: TransferPlot) -> None:
    """Entries of the legend, on empty lines."""
    if not plot.keys:
        return
    axes.plot([], [], "o", ms=4.5, color=_MEASURED, label="best LR of a cell ± its error")
    if any(panel.edge.any() for panel in plot.keys):
        axes.plot([], [], "o", ms=4.5, mec=_MEASURED, mfc="white", label="at the edge of its LRs")
    if plot.keys[0].grid.size:
        axes.plot([], [], "-", color=_LAW, lw=1.6, label="law with 95% interval")
    if plot.keys[0].refused:
        axes.plot([], [], ls=_DASHED, color=_ANSWER, lw=1.2, label="the target: refused")
    if plot.keys[0].answer is not None:
        said = "best guess, 95% interval" if plot.keys[0].refused else "the target, 95% interval"
        axes.plot([], [], "D", **_marked(plot.keys[0].refused), label=said)


def _marked(refused: bool) -> dict[str, Any]:
    """How an answer is marked: filled, or hollow where it is only a guess."""
    edge, face = (_ANSWER, "white") if refused else ("white", _ANSWER)
    return {"ms": 7, "mfc": face, "mec": edge, "mew": 1.4 if refused else 1.0}
