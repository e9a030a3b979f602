"""Validation metrics: one file each; `default_metrics` are those a config leaves unsaid."""

from lrtool.registry import Registry
from lrtool.tasks.base import DataShape
from lrtool.tasks.metrics.base import MetricSpec

KINDS: Registry[MetricSpec] = Registry(MetricSpec, __name__, "metric")


#: Those that a config may get where it leaves them unsaid.
DEFAULTS = ("accuracy", "mae", "rmse")


def default_metrics(shape: DataShape, loss: str, standardised: bool = False) -> tuple[MetricSpec, ...]:
    """Accuracy under the losses of classes and labels, mean absolute error for values, none where nothing is known.

    Of values that were standardised also the root mean squared error, as both are then in the target's own unit.
    """
    if loss == "cross_entropy":
        return (KINDS["accuracy"].model_validate({"of": "class"}),)
    if loss == "bce":
        return (KINDS["accuracy"].model_validate({}),)
    if shape.target != "value":
        return ()
    return tuple(KINDS[kind].model_validate({}) for kind in (("mae", "rmse") if standardised else ("mae",)))


__all__ = ["DEFAULTS", "KINDS", "MetricSpec", "default_metrics"]
