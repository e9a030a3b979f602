"""The data of an LR–loss chart: what a range test or a tune measured at each LR, and what was concluded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrtool.report.html.points import even, rows_per_curve, telling
from lrtool.report.html.record import Array, RunRecord, TrialRecord
from lrtool.report.plots.style import metric_name
from lrtool.report.thinning import running_mean


@dataclass(frozen=True)
class LrSeries:
    """Points or a line of an LR–loss chart: `lr`, `loss`, both (points,); `kind` is `line` or `points`."""

    name: str
    kind: str
    lr: Array
    loss: Array


@dataclass(frozen=True)
class LrMark:
    """An LR that was concluded, with its interval; an end that is not known is None."""

    name: str
    value: float
    interval: tuple[float | None, float | None] | None = None


@dataclass(frozen=True)
class LrChart:
    """One chart: loss over LR, with marks. `lost`: trainings that diverged, which have no point."""

    title: str
    series: Sequence[LrSeries]
    marks: Sequence[LrMark]
    lost: int = 0

    @classmethod
    def of(cls, run: RunRecord) -> LrChart | None:
        """The chart of a range test or a tune; None of other runs, and where nothing was measured."""
        if run.command not in ("range-test", "tune"):
            return None
        short = [trial for trial in run.trials if trial.kind == "short training"]
        metric = "val_loss" if any("val_loss" in trial.values for trial in short) else "train_loss"
        series = [*_ramps(run.trials), *_trainings(short, metric)]
        if not series:
            return None
        lost = sum(trial.status == "diverged" for trial in short)
        return cls(f"{run.label}: loss over LR", series, list(_marks(run.summary)), lost)


def _ramps(trials: Sequence[TrialRecord]) -> Iterator[LrSeries]:
    """Of each ramp, its losses as they are; and one line, their smoothed mean."""
    ramps = [trial for trial in trials if trial.kind == "ramp"]
    most = rows_per_curve(10 * max(len(ramps), 1))
    for trial in ramps:
        loss = trial.curve["train_loss"]
        kept = telling(loss, most)
        yield LrSeries(f"ramp, seed {trial.seed}", "points", trial.curve["lr"][kept], loss[kept])
    longest = max((len(trial.curve["lr"]) for trial in ramps), default=0)
    if longest < 10:
        return
    losses = np.full((len(ramps), longest), np.nan)
    for row, trial in zip(losses, ramps, strict=True):
        row[: len(trial.curve["train_loss"])] = trial.curve["train_loss"]
    losses[~np.isfinite(losses)] = np.nan
    known = np.isfinite(losses).all(axis=0)  # where a seed stopped, the mean would be of others
    lr = next(trial.curve["lr"] for trial in ramps if len(trial.curve["lr"]) == longest)[known]
    smooth = running_mean(losses[:, known].mean(axis=0), max(3, longest // 20))
    kept = even(len(lr), most)
    yield LrSeries("ramps, running mean over seeds", "line", lr[kept], smooth[kept])


def _trainings(trials: Sequence[TrialRecord], metric: str) -> Iterator[LrSeries]:
    """The final losses of short trainings, those of one length together, the longest first."""
    what = metric_name(metric)
    for steps in sorted({trial.steps for trial in trials if metric in trial.values}, reverse=True)[:6]:
        found = [trial for trial in trials if trial.steps == steps and metric in trial.values]
        found = [trial for trial in found if trial.status != "diverged" and trial.settings["optimizer.lr"] is not None]
        lr = np.array([trial.settings["optimizer.lr"] for trial in found], dtype=np.float64)
        loss = np.array([trial.values[metric] for trial in found], dtype=np.float64)
        order = np.argsort(lr, kind="stable")
        if len(order):
            yield LrSeries(f"{what} after {steps:,} updates", "points", lr[order], loss[order])


def _marks(summary: Mapping[str, Any]) -> Iterator[LrMark]:
    names = (
        ("suggested", "suggested_lr", "interval"),
        ("lower bound", "lower_lr", ""),
        ("upper bound", "upper_lr", ""),
        ("stability limit", "stability_limit", "stability_interval"),
        ("critical LR of one update", "critical_lr", "critical_interval"),
    )
    for name, key, interval in names:
        value, ends = summary.get(key), summary.get(interval) if interval else None
        if isinstance(value, int | float) and value > 0:
            both = isinstance(ends, list) and len(ends) == 2
            yield LrMark(name, float(value), (ends[0], ends[1]) if both and isinstance(ends, list) else None)
