"""Binary cross-entropy."""

from __future__ import annotations

from typing import Any, Literal

from lrtool.errors import TaskError
from lrtool.tasks.base import BuildContext, LossFunction
from lrtool.tasks.losses.base import Elementwise


class Bce(Elementwise):
    """Binary cross-entropy on logits: mean of −t·log σ(o) − (1 − t)·log(1 − σ(o)); targets lie in [0, 1]."""

    kind: Literal["bce"] = "bce"

    def check_targets(self, output: Any, target: Any) -> None:
        """Every target a probability."""
        low, high = float(target.min()), float(target.max())
        if low < 0 or high > 1:
            raise TaskError(
                f"binary cross-entropy needs targets from 0 to 1, but they range from {low:g} to {high:g}",
                where="data",
                remedy="scale the targets, or write loss: mse",
            )

    def build(self, context: BuildContext) -> LossFunction:
        """The function."""
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits
