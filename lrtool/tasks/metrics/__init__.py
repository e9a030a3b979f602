"""Validation metrics: one file each; `default_metrics` are those a config leaves unsaid."""

from lrtool.registry import Registry
from lrtool.tasks.base import DataShape
from lrtool.tasks.metrics.base import MetricSpec

KINDS: Registry[MetricSpec] = Registry(MetricSpec, __name__, "metric")


def default_metrics(shape: DataShape) -> tuple[MetricSpec, ...]:
    """Accuracy for classes and tokens, mean absolute error for values, none where nothing is known."""
    names = {"class": ("accuracy",), "token": ("accuracy",), "value": ("mae",), "unknown": ()}
    return tuple(KINDS[name].model_validate({}) for name in names[shape.target])


__all__ = ["KINDS", "MetricSpec", "default_metrics"]
