"""What a page's charts and its table of trials are drawn from, as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lrtool.comparison.comparability import LR
from lrtool.report.html.lr_chart import LrChart
from lrtool.report.html.packing import FloatPool, column
from lrtool.report.html.page import Page
from lrtool.report.html.points import even, rows_per_curve, telling
from lrtool.report.html.record import Array, TrialRecord
from lrtool.report.plots.style import metric_name

#: Up to so many curves keep their highest and lowest points; of more, evenly spread ones, whose steps are shared.
_FEW = 60


def document(page: Page) -> dict[str, Any]:
    """Everything that the page's script reads."""
    pool = FloatPool()
    curves = [_curve(trial, len(page.trials), pool) for _, trial in page.trials]
    names = list(dict.fromkeys(name for curve in curves for name in curve))
    return {
        "metric": page.metric,
        "higher": page.higher,
        "words": {name: metric_name(name) for name in {*names, page.metric, *_value_names(page)}},
        "lr": LR if any(_is_lr(trial) for _, trial in page.trials) else None,
        "keys": list(page.keys),
        "columns": _columns(page),
        "series": curves,
        "curves": sorted(names, key=_first_losses),
        "lrCharts": [_lr_chart(chart, pool) for chart in page.lr_charts],
        "floats": pool.text(),
    }


def _first_losses(name: str) -> tuple[bool, bool, bool]:
    return name != "train_loss", name != "val_loss", name == "lr"


def _is_lr(trial: TrialRecord) -> bool:
    return isinstance(trial.settings.get(LR), int | float)


def _value_names(page: Page) -> list[str]:
    """Final losses and metrics, what trials are judged by first."""
    names = dict.fromkeys([page.metric])
    for _, trial in page.trials:
        names.update(dict.fromkeys(trial.values))
    return list(names)


def _columns(page: Page) -> list[dict[str, Any]]:
    """The columns of the table of trials."""
    trials = [trial for _, trial in page.trials]
    found: list[tuple[str, str, Sequence[Any]]] = [
        ("run", "run", [page.runs[place].label for place, _ in page.trials]),
        ("trial", "trial", [trial.number for trial in trials]),
        ("group", "variant", [trial.group for trial in trials]),
        ("seed", "seed", [trial.seed for trial in trials]),
        ("status", "status", [trial.status for trial in trials]),
        *((name, name, [trial.values.get(name) for trial in trials]) for name in _value_names(page)),
        *((f"set:{key}", key, [trial.settings.get(key) for trial in trials]) for key in page.keys),
        ("steps", "updates", [trial.steps for trial in trials]),
        ("seconds", "seconds", [trial.seconds for trial in trials]),
        ("kind", "kind", [trial.kind for trial in trials]),
        ("message", "message", [trial.message for trial in trials]),
    ]
    return [{"key": key, "label": label, **column(values)} for key, label, values in found]


def _curve(trial: TrialRecord, curves: int, pool: FloatPool) -> dict[str, list[list[int]]]:
    """Each measured quantity as places of its steps and values in the pool."""
    most, steps = rows_per_curve(curves), trial.curve.get("step", np.empty(0))
    found = {}
    for name, values in trial.curve.items():
        if name == "step" or not len(values):
            continue
        known = np.flatnonzero(~np.isnan(values) | (name == "train_loss"))
        if len(known):
            kept = known[_kept(values[known], most, curves)]
            found[name] = [pool.add(steps[kept]), pool.add(values[kept])]
    return found


def _kept(values: Array, most: int, curves: int) -> Any:
    return telling(values, most) if curves <= _FEW else even(len(values), most)


def _lr_chart(chart: LrChart, pool: FloatPool) -> dict[str, Any]:
    return {
        "title": chart.title,
        "lost": chart.lost,
        "marks": [asdict(mark) for mark in chart.marks],
        "series": [
            {"name": each.name, "kind": each.kind, "at": [pool.add(each.lr), pool.add(each.loss)]}
            for each in chart.series
        ],
    }
