"""Validation metrics: one file each; `default_metrics` are those a config leaves unsaid."""

from collections.abc import Mapping

from lrtool.registry import Registry
from lrtool.tasks.base import DataShape, TargetKind
from lrtool.tasks.metrics.base import MetricSpec

KINDS: Registry[MetricSpec] = Registry(MetricSpec, __name__, "metric")


#: The metrics of each kind of target, where a config leaves them unsaid.
DEFAULTS: Mapping[TargetKind, tuple[str, ...]] = {
    "class": ("accuracy",),
    "token": ("accuracy",),
    "value": ("mae",),
    "unknown": (),
}


def default_metrics(shape: DataShape) -> tuple[MetricSpec, ...]:
    """Accuracy for classes and tokens, mean absolute error for values, none where nothing is known."""
    return tuple(KINDS[name].model_validate({}) for name in DEFAULTS[shape.target])


__all__ = ["DEFAULTS", "KINDS", "MetricSpec", "default_metrics"]
