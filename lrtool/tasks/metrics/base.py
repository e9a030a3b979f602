"""What every metric is: a specification that builds a `Metric`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from lrtool.tasks.base import BuildContext, Metric, Unit

if TYPE_CHECKING:
    from torch import Tensor


class MetricSpec(BaseModel, ABC):
    """A validation metric's specification."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    #: The power of the target's unit that the values of one sample are in: 0 where they have none.
    power: ClassVar[int] = 0

    kind: str

    @property
    def label(self) -> str:
        """What its column is called, after `val_`."""
        return self.kind

    @abstractmethod
    def build(self, context: BuildContext) -> Metric:
        """The metric: a mean over samples, called `label`."""

    def measured_in(self, unit: Unit | None, metric: Metric) -> Metric:
        """The metric in the target's own unit, where the target was standardised and the metric has one."""
        if unit is None or not self.power:
            return metric
        factor = tuple(scale**self.power for scale in unit.scale)
        name = f"({unit.name})²" if self.power == 2 and metric.of_mean is None else unit.name
        return replace(metric, per_sample=_Scaled(metric.per_sample, factor), unit=name)


@dataclass(frozen=True)
class _Scaled:
    """A metric's values times a factor, or one for each column of the target."""

    per_sample: Callable[[Any, Any], Tensor]
    factor: tuple[float, ...]

    def __call__(self, output: Any, target: Any) -> Tensor:
        import torch

        values = self.per_sample(output, target)
        return values * (self.factor[0] if len(self.factor) == 1 else torch.tensor(self.factor).to(values))
