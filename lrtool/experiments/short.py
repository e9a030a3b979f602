"""Shortened trainings: their curves, and what they are judged by."""

from __future__ import annotations

from lrtool.engine.trials import Status, Trace
from lrtool.schedules import Curve

#: Where there is no validation set, the loss of a trial is the mean of this last part of its training losses.
_TAIL = 0.1


def compressed(curve: Curve, steps: int) -> Curve:
    """The same curve over fewer updates: update t runs at what the whole curve says at t·(length/steps)."""
    scale = curve.steps / steps
    return curve if scale == 1 else Curve(lambda t: curve.values(t * scale), steps, curve.peak)


def final_loss(trace: Trace) -> float:
    """What a trial is judged by: its last validation loss, or its last training losses; NaN unless it finished."""
    if trace.status is not Status.FINISHED:
        return float("nan")
    if trace.evaluations:
        return float(trace.evaluations[-1].values["val_loss"])
    return float(trace.train_loss[-max(1, int(len(trace.train_loss) * _TAIL)) :].mean())
