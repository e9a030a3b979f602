"""Losses: one file each; `default_loss` is the one a config leaves unsaid."""

from lrtool.errors import UsageError
from lrtool.registry import Registry
from lrtool.tasks.base import DataShape
from lrtool.tasks.losses.base import Loss

KINDS: Registry[Loss] = Registry(Loss, __name__, "loss")


def default_loss(shape: DataShape) -> Loss:
    """Cross-entropy for classes and tokens, binary for labels, mean squared error for values.

    Raises UsageError where nothing is known.
    """
    if shape.target == "unknown":
        raise UsageError(
            "the data set does not say what its targets are, so there is no default loss",
            where="loss",
            remedy="write loss: cross_entropy (classes) or loss: mse (values)",
        )
    kind = {"value": "mse", "labels": "bce"}.get(shape.target, "cross_entropy")
    return KINDS[kind].model_validate({})


__all__ = ["KINDS", "Loss", "default_loss"]
