"""A metric of the user's own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, Metric
from lrtool.tasks.metrics.base import MetricSpec


class UseMetric(MetricSpec):
    """A metric of your own: `{use: "my_metrics.py:within", args: {tolerance: 0.1}}`.

    Called as a loss of your own is, but it returns one value per sample, shape (batch, …); lrtool takes the mean.
    """

    kind: Literal["use"] = "use"
    use: str = Field(description="'file.py:Name' beside the config, or 'package.module:Name' (see --allow-import).")
    args: dict[str, Any] = Field({}, description="Keyword arguments of the function or class.")
    name: str | None = Field(None, min_length=1, description="Column name, after 'val_'; the target's name if unsaid.")
    higher_is_better: bool = Field(True, description="Whether a larger value is a better model.")

    @property
    def label(self) -> str:
        """Its `name`, or else the target's."""
        return self.name or self.use.rpartition(":")[2].rpartition(".")[2]

    def build(self, context: BuildContext) -> Metric:
        """The metric; raises UsageError where the target does not take (output, target) and `args`."""
        from lrtool.tasks import custom

        function = custom.function_of_batch(self.use, self.args, context, "metrics")
        return Metric(self.label, function, self.higher_is_better)
