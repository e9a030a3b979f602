"""Accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, Metric
from lrtool.tasks.losses.base import like
from lrtool.tasks.metrics.base import MetricSpec

if TYPE_CHECKING:
    from torch import Tensor


class Accuracy(MetricSpec):
    """Part of the samples (or tokens, pixels, labels) that are classified right.

    The largest output of a class wins; the classes are the output's last axis, or the second as torch has them. Where
    output and target have the same shape they are labels (binary cross-entropy): an output above 0 says yes and a
    target above ½ is yes; with `of: class` they are probabilities of classes, of which the largest is right.
    """

    kind: Literal["accuracy"] = "accuracy"
    of: Literal["auto", "class", "label"] = Field("auto", description="What is right or wrong: classes, or each label.")

    def build(self, context: BuildContext) -> Metric:
        """The metric."""
        return Metric(self.label, _right_class if self.of == "class" else _right, higher_is_better=True)


def _right(output: Tensor, target: Tensor) -> Tensor:
    if output.squeeze(-1).shape == target.squeeze(-1).shape:
        return ((output > 0) == (like(target, output) > 0.5)).float()
    return _right_class(output, target)


def _right_class(output: Tensor, target: Tensor) -> Tensor:
    if output.shape == target.shape:
        return (output.argmax(-1) == target.argmax(-1)).float()
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = target.squeeze(-1)
    axis = -1 if output.shape[:-1] == target.shape else 1
    return (output.argmax(axis) == target).float()
