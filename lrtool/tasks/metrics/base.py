"""What every metric is: a specification that builds a `Metric`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict

from lrtool.tasks.base import BuildContext, Metric


class MetricSpec(BaseModel, ABC):
    """A validation metric's specification."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: str

    @property
    def label(self) -> str:
        """What its column is called, after `val_`."""
        return self.kind

    @abstractmethod
    def build(self, context: BuildContext) -> Metric:
        """The metric: a mean over samples, called `label`."""
