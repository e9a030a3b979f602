"""What a finished training is judged by: its final losses and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrtool.engine.trials import Array, Trace
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import final_train_loss, read_metrics
from lrtool.status import Status


def final_values(trace: Trace) -> dict[str, float]:
    """`train_loss` and what the last evaluation measured; nothing unless the trial finished."""
    if trace.status is not Status.FINISHED or not trace.steps:
        return {}
    last = trace.evaluations[-1].values if trace.evaluations else {}
    return {
        "train_loss": final_train_loss(trace.train_loss[: trace.steps]),
        **{name: float(value) for name, value in last.items()},
    }


def final_loss(trace: Trace) -> float:
    """What a trial is judged by: its last validation loss, or its last training losses; NaN unless it finished."""
    values = final_values(trace)
    return values.get("val_loss", values.get("train_loss", float("nan")))


def final_and_best(folder: RunFolder, best: str, higher_is_better: bool, trace: Trace | None = None) -> dict[str, Any]:
    """`final` and `best` of the summary, from the metrics on disk (so a resumed run counts whole).

    `final` is what the last evaluation of the trace measured, whether or not that is a number; without a trace, as of a
    run that was stopped, the last that is one.
    """
    table = read_metrics(folder.path / "metrics.csv")
    names = [name for name in table if name == "train_loss" or name.startswith("val_")]
    if trace is not None and trace.evaluations:
        measured = np.array([each.step - 1 for each in trace.evaluations if each.step <= len(table["step"])], np.intp)
    else:
        measured = np.flatnonzero(np.isfinite(table.get("val_loss", table["train_loss"])))
    if not len(measured):
        return {"final": None, "best": None}

    def at(row: int) -> dict[str, float]:
        return {"step": int(table["step"][row]) + 1, **{name: float(table[name][row]) for name in names}}

    judged = _judged(table, best, measured)
    worse = np.where(np.isfinite(judged), -judged if higher_is_better else judged, np.inf)
    best_one = at(int(measured[np.argmin(worse)])) if np.isfinite(judged).any() else None
    return {"final": at(int(measured[-1])), "best": best_one}


def _judged(table: Mapping[str, Array], best: str, measured: NDArray[np.intp]) -> Array:
    """What the best of these rows is judged by, as the best weights are: of training losses their mean."""
    if best in table and best != "train_loss":
        return table[best][measured]
    if "val_loss" not in table:
        return table["train_loss"][measured]
    starts = np.concatenate([[0], measured[:-1] + 1])
    sums = np.add.reduceat(table["train_loss"][: measured[-1] + 1], starts)
    means: Array = sums / (measured + 1 - starts)
    return means
