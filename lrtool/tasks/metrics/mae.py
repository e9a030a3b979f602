"""Mean absolute error."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from lrtool.tasks.base import BuildContext, Metric
from lrtool.tasks.losses.base import like
from lrtool.tasks.metrics.base import MetricSpec

if TYPE_CHECKING:
    from torch import Tensor


class Mae(MetricSpec):
    """Mean absolute error: mean of |output − target|.

    It is in the target's own unit where the data set standardises the target, else in that of the model's output.
    """

    power: ClassVar[int] = 1

    kind: Literal["mae"] = "mae"

    def build(self, context: BuildContext) -> Metric:
        """The metric."""
        return Metric(self.label, _error, higher_is_better=False)


def _error(output: Tensor, target: Tensor) -> Tensor:
    return (output - like(target, output)).abs()
