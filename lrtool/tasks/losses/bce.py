"""Binary cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lrtool.errors import TaskError
from lrtool.tasks.base import LossFunction, TargetKind
from lrtool.tasks.losses.base import Elementwise

if TYPE_CHECKING:
    from torch import Tensor


class Bce(Elementwise):
    """Binary cross-entropy on logits: mean of −t·log σ(o) − (1 − t)·log(1 − σ(o)); targets lie in [0, 1].

    One output for two classes, or one for each of several labels (multi-label); targets may be whole numbers.
    """

    targets: ClassVar[tuple[TargetKind, ...]] = ("value", "labels", "class")
    whole: ClassVar[bool] = True

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

    def function(self) -> LossFunction:
        """The function."""
        from torch.nn import functional

        def loss(output: Tensor, target: Tensor) -> Tensor:
            return functional.binary_cross_entropy_with_logits(output, target.to(output.dtype))

        return loss
