"""A linear model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lrtool.tasks.base import BuildContext, DataShape, Model
from lrtool.tasks.models._shape import features, outputs

if TYPE_CHECKING:
    from torch import nn


class Linear(Model):
    """Linear (or, under cross-entropy, softmax) regression on flattened samples: x ↦ W·x + b."""

    kind: Literal["linear"] = "linear"

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """One layer; raises UsageError where the samples are not one tensor of numbers."""
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Linear(features(shape, self.kind), outputs(shape, self.kind)))
