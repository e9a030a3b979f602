"""Root mean squared error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from lrtool.tasks.base import BuildContext, Metric
from lrtool.tasks.losses.base import like
from lrtool.tasks.metrics.base import MetricSpec

if TYPE_CHECKING:
    from torch import Tensor


class Rmse(MetricSpec):
    """Root mean squared error: √(mean of (output − target)²), over all samples; in the target's unit as `mae` is."""

    power: ClassVar[int] = 2

    kind: Literal["rmse"] = "rmse"

    def build(self, context: BuildContext) -> Metric:
        """The metric; the root is taken of the mean over all samples."""
        return Metric(self.label, _squared, higher_is_better=False, of_mean=_root)


def _squared(output: Tensor, target: Tensor) -> Tensor:
    return (output - like(target, output)).square()


def _root(mean: float) -> float:
    return math.sqrt(mean) if mean >= 0 else math.nan
