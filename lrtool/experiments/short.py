"""Shortened trainings: their compressed LR curves, and the loss by which they are judged."""

from __future__ import annotations

from lrtool.engine.trials import Trace
from lrtool.experiments.sweep.outcome import final_values
from lrtool.schedules import Curve


def compressed(curve: Curve, steps: int) -> Curve:
    """The same curve over fewer updates: update t runs at what the whole curve says at t·(length/steps)."""
    scale = curve.steps / steps
    return curve if scale == 1 else Curve(lambda t: curve.values(t * scale), steps, curve.peak)


def final_loss(trace: Trace) -> float:
    """What a trial is judged by: its last validation loss, or its last training losses; NaN unless it finished."""
    values = final_values(trace)
    return values.get("val_loss", values.get("train_loss", float("nan")))
