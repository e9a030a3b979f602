"""What every metric is: a specification that builds a `Metric`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from lrtool.tasks.base import BuildContext, Metric


class MetricSpec(BaseModel):
    """A validation metric's specification."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: str

    def build(self, context: BuildContext) -> Metric:
        """The metric: a mean over samples."""
        raise NotImplementedError
