"""Mean squared error as a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from lrtool.tasks.base import BuildContext, Metric
from lrtool.tasks.losses.base import like
from lrtool.tasks.metrics.base import MetricSpec

if TYPE_CHECKING:
    from torch import Tensor


class MseMetric(MetricSpec):
    """Mean squared error: mean of (output − target)²; in the target's own unit as `mae` is."""

    power: ClassVar[int] = 2

    kind: Literal["mse"] = "mse"

    def build(self, context: BuildContext) -> Metric:
        """The metric."""
        return Metric(self.label, _error, higher_is_better=False)


def _error(output: Tensor, target: Tensor) -> Tensor:
    return (output - like(target, output)).square()
