"""What a finished training is judged by: its final losses and metrics."""

from __future__ import annotations

from lrtool.engine.trials import Trace
from lrtool.runs.metrics import final_train_loss
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
