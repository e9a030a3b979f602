"""The plot of a training run: loss, metrics, learning rate and momentum against steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lrtool.report.plots.axes import from_zero, is_wide, set_limits
from lrtool.report.plots.lettering import label as named
from lrtool.report.plots.lettering import legend_below, titled, y_label
from lrtool.report.plots.schedule import epochs_on_top, outline, steps_below
from lrtool.report.plots.style import (
    BLUE,
    DASHES,
    FAINT,
    GREEN,
    INK,
    PALETTE,
    VERMILION,
    VIOLET,
    look,
    marker,
    number,
    styled,
)
from lrtool.report.thinning import Thinned, running_mean, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_BLOCKS = 1500
#: Updates that the smoothed loss averages, as a part of the run.
_SMOOTHED = 1 / 40
#: A loss that falls by this factor is drawn on a log axis.
_WIDE = 30.0
#: Metrics in one panel at most, and the factor by which their sizes may differ.
_LINES, _SIZES = 5, 6.0


@dataclass(frozen=True)
class TrainingPlot:
    """A run as arrays, one entry per update: `step`, `lr`, `train_loss`, all (steps,).

    `validation`: `val_loss` and further validation columns, `extra`: `momentum` and the like, by name, (steps,),
    NaN where not measured. `steps_per_epoch` is None where the run is shorter than an epoch. `halved`: updates from
    which on the LR was halved, after a divergence.
    """

    title: str
    step: Array
    lr: Array
    train_loss: Array
    validation: Mapping[str, Array] = field(default_factory=dict)
    extra: Mapping[str, Array] = field(default_factory=dict)
    steps_per_epoch: float | None = None
    halved: Sequence[int] = ()

    @classmethod
    def of(cls, table: Mapping[str, Array], title: str, trial: int = 0, halved: Sequence[int] = ()) -> Self:
        """From the columns of a `metrics.csv`."""
        rows = table["trial"] == trial
        columns = {name: values[rows] for name, values in table.items()}
        validation = {name: values for name, values in columns.items() if name.startswith("val_")}
        known = {"trial", "step", "epoch", "lr", "train_loss", "seconds", *validation}
        return cls(
            title=title,
            step=columns["step"],
            lr=columns["lr"],
            train_loss=columns["train_loss"],
            validation={name: values for name, values in validation.items() if np.isfinite(values).any()},
            extra={n: values for n, values in columns.items() if n not in known and np.isfinite(values).any()},
            steps_per_epoch=_steps_per_epoch(columns["step"], columns["epoch"]),
            halved=halved,
        )

    @property
    def answer(self) -> str:
        """What the plot shows, in words."""
        if not len(self.step):
            return "no update was done"
        loss = self.validation.get("val_loss")
        if loss is None:
            finite = np.isfinite(self.train_loss)
            last = number(float(self.train_loss[finite][-1])) if finite.any() else "not finite"
            return f"training loss {last} after {_steps(len(self.step))}"
        best = int(np.nanargmin(loss))
        also = [
            f"{_name(name)} {number(float(values[best]))}"
            for name, values in self.validation.items()
            if name != "val_loss" and np.isfinite(values[best])
        ]
        return ", ".join(
            [f"best validation loss {number(float(loss[best]))} after {_steps(int(self.step[best]) + 1)}", *also]
        )


@styled
def draw_training(plot: TrainingPlot) -> Figure:
    """Panels over a common step axis: loss, each kind of metric, LR, and whatever else was scheduled."""
    from matplotlib.figure import Figure

    metrics = {name: values for name, values in plot.validation.items() if name != "val_loss"}
    groups = _alike(metrics)
    heights = [3.2, *[1.8] * len(groups), 1.4, *[1.2] * len(plot.extra)]
    figure = Figure(figsize=(8.5, 1.0 + 1.15 * sum(heights)), layout="constrained")
    panels = list(figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    _loss_panel(panels[0], plot)
    for axes, names in zip(panels[1:], groups, strict=False):
        _metric_panel(axes, plot.step, metrics, names)
    lower = panels[1 + len(groups) :]
    _line_panel(lower[0], plot.step, plot.lr, "learning rate", VIOLET)
    for place, (axes, (name, values)) in enumerate(zip(lower[1:], plot.extra.items(), strict=True)):
        _line_panel(axes, plot.step, values, name.replace("_", " "), PALETTE[(place + 3) % len(PALETTE)])
    _mark_halved(panels, lower[0], plot.halved)
    steps_below(panels[-1])
    figure.align_ylabels(panels)
    if plot.steps_per_epoch:
        epochs_on_top(panels[0], plot.steps_per_epoch)
    legend_below(figure, panels, most=5)
    titled(figure, plot.title, plot.answer)
    return figure


def _alike(metrics: Mapping[str, Array]) -> list[list[str]]:
    """The metrics in groups that one axis shows well: those of [0, 1], and others of about the same size."""
    groups: list[list[str]] = []
    for name, values in metrics.items():
        fits = (group for group in groups if _same_size(metrics[group[0]], values) and len(group) < _LINES)
        group = next(fits, None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return groups


def _same_size(one: Array, other: Array) -> bool:
    first, second = (values[np.isfinite(values)] for values in (one, other))
    inside = [bool(((values >= 0) & (values <= 1)).all()) for values in (first, second)]
    if any(inside):
        return all(inside)
    sizes = sorted(float(np.abs(values).max()) for values in (first, second))
    return sizes[1] <= _SIZES * sizes[0] and np.sign(first[0]) == np.sign(second[0])


def _steps_per_epoch(step: Array, epoch: Array) -> float | None:
    """Updates per epoch from the first updates of the first and the last whole epoch."""
    begins = np.flatnonzero(np.diff(epoch) > 0) + 1
    if not begins.size:
        return None
    return float((step[begins[-1]] - step[0]) / (epoch[begins[-1]] - epoch[0]))


def _loss_panel(axes: Axes, plot: TrainingPlot) -> None:
    few = thin(plot.step, plot.train_loss, _BLOCKS)
    smooth = running_mean(few.mean, max(3, round(len(few.x) * _SMOOTHED)), level_end=True)
    _raw(axes, few, len(plot.step))
    axes.plot(few.x, smooth, color=BLUE, label="training, smoothed", zorder=3)
    loss = plot.validation.get("val_loss")
    if loss is not None:
        measured = np.flatnonzero(np.isfinite(loss))
        axes.plot(plot.step[measured], loss[measured], "-", color=VERMILION, lw=1.3, zorder=4)
        size = 4.5 if len(measured) <= 60 else 0
        axes.plot(plot.step[measured], loss[measured], "o", color=VERMILION, ms=size, zorder=4)
        axes.plot([], [], "-o" if size else "-", color=VERMILION, ms=4.5, lw=1.3, label="validation")
        _mark_best(axes, plot.step, loss)
    _loss_scale(axes, few, smooth, loss)
    axes.set_ylabel("loss")


def _raw(axes: Axes, few: Thinned, points: int) -> None:
    """Every loss of a short run, the range of each block of a long one; a lone point is a dot."""
    if points > len(few.x):
        axes.fill_between(few.x, few.low, few.high, color=BLUE, alpha=0.22, lw=0, label="training, range")
    else:
        marker = "o" if np.isfinite(few.mean).sum() == 1 else None
        axes.plot(few.x, few.mean, color=BLUE, alpha=0.3, lw=0.9, marker=marker, label="training")


def _mark_halved(panels: Sequence[Axes], lr: Axes, halved: Sequence[int]) -> None:
    """Lines through all panels where a diverged run went back, said once above the LR."""
    counts = {step: list(halved).count(step) for step in halved}
    for step, count in counts.items():
        for axes in panels:
            axes.axvline(step, color=INK, lw=1.0, ls=":", zorder=1.5)
        said = "LR halved" if count == 1 else f"LR halved {count} times"
        lr.annotate(
            said, (step, 0.97), xycoords=("data", "axes fraction"), xytext=(3, 0), textcoords="offset points",
            ha="left", va="top", fontsize=8.5, color=INK, bbox={"fc": "white", "ec": "none", "pad": 0.8},
        )  # fmt: skip


def _mark_best(axes: Axes, step: Array, loss: Array) -> None:
    best = int(np.nanargmin(loss))
    axes.plot(step[best], loss[best], "*", ms=13, color=GREEN, mec="white", mew=0.8, zorder=5, label="best validation")


def _loss_scale(axes: Axes, few: Thinned, smooth: Array, loss: Array | None) -> None:
    """Log where the loss falls far; an explosion leaves at the top instead of flattening all else."""
    finite = smooth[np.isfinite(smooth)]
    if not finite.size:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite loss", transform=axes.transAxes, ha="center", color=INK)
        return
    levels = finite if loss is None else np.concatenate([finite, loss[np.isfinite(loss)]])
    begun = float(np.median(finite[: max(1, len(finite) // 20)]))
    usual = max(begun, float(np.median(levels)))
    high = max(begun, float(np.quantile(levels, 0.9)))
    seen = few.low[np.isfinite(few.low)]
    low = min(float(np.quantile(seen, 0.005)), float(levels.min()))
    peak = float(few.high[np.isfinite(few.high)].max())
    if low > 0 and is_wide(float(levels.min()), min(high, usual * 10), _WIDE):
        set_limits(axes.yaxis, low, min(peak, high * 4, usual * 10), log=True)
    else:
        high = min(high, usual + 2 * (usual - low))
        set_limits(axes.yaxis, low, min(peak, high + max(high - low, abs(high) * 0.05) / 2), least=0.05)
    if peak > axes.get_ylim()[1] and float(finite.max()) > axes.get_ylim()[1]:
        axes.annotate(
            f"up to {number(peak)}", (0.995, 0.985), xycoords="axes fraction", ha="right", va="top", fontsize=8.5,
            zorder=6, bbox={"fc": "white", "ec": "none", "pad": 1.0},
        )  # fmt: skip


def _metric_panel(axes: Axes, step: Array, metrics: Mapping[str, Array], names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        known = np.isfinite(metrics[name])
        color = look(list(metrics).index(name) + 2)["color"]
        size = 4 if known.sum() <= 60 else 0
        label = named(_name(name)) if len(names) > 1 else None
        axes.plot(step[known], metrics[name][known], marker=marker(place), ms=size, lw=1.4, color=color,
                  ls=DASHES[place % len(DASHES)], label=label)  # fmt: skip
    y_label(axes, _name(names[0]) if len(names) == 1 else "validation", 1.9)


def _line_panel(axes: Axes, step: Array, values: Array, label: str, color: str) -> None:
    x, y = outline(step, values)
    axes.plot(x, y, color=color, lw=1.6, marker="o" if len(x) == 1 else None)
    y_label(axes, label, 1.2)
    if len(y) and label != "momentum":
        from_zero(axes, float(np.nanmin(y, initial=0.0)))
    if len(y) and np.nanmin(y) == np.nanmax(y):
        axes.annotate(f"constant {number(float(y[0]))}", (0.01, 0.9), xycoords="axes fraction", color=FAINT, va="top")


def _steps(count: int) -> str:
    return f"{count:,} step{'' if count == 1 else 's'}"


def _name(column: str) -> str:
    return column.removeprefix("val_").replace("_", " ")
