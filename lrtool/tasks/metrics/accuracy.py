"""Accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lrtool.tasks.base import BuildContext, Metric
from lrtool.tasks.metrics.base import MetricSpec

if TYPE_CHECKING:
    from torch import Tensor


class Accuracy(MetricSpec):
    """Part of the samples (or tokens) that are classified right.

    The largest of the last axis wins. Where output and target have the same shape (binary cross-entropy),
    an output above 0 says yes and a target above ½ is yes.
    """

    kind: Literal["accuracy"] = "accuracy"

    def build(self, context: BuildContext) -> Metric:
        """The metric."""
        return Metric(self.label, _correct, higher_is_better=True)


def _correct(output: Tensor, target: Tensor) -> Tensor:
    if output.shape == target.shape:
        return ((output > 0) == (target > 0.5)).float()
    return (output.argmax(-1) == target).float()
