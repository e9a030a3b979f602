"""Cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.errors import TaskError
from lrtool.tasks.base import BuildContext, LossFunction, TargetKind
from lrtool.tasks.losses.base import Loss, describe, need_tensors

if TYPE_CHECKING:
    from torch import Tensor


#: torch's own default: targets of this value do not count.
_IGNORED = -100


class CrossEntropy(Loss):
    """Mean negative log-likelihood of the right class under softmax(output).

    Output (B, C) with target (B,), or (B, T, C) with (B, T): the classes are the last axis. Targets of −100
    are left out of the mean.
    """

    targets: ClassVar[tuple[TargetKind, ...]] = ("class", "token")

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Part of the probability spread over all classes.")

    def check_batch(self, output: Any, target: Any) -> None:
        """Classes on the last axis, and int64 targets for the axes before it."""
        import torch

        output, target = need_tensors(self.kind, output, target)
        got = f"the model gives {describe(output)} and the target is {describe(target)}"
        if output.ndim < 2 or output.shape[:-1] != target.shape:
            raise TaskError(
                f"cross_entropy needs outputs (batch, classes) with targets (batch,), but {got}",
                where="model",
                remedy="put the classes on the model's last axis; for values write loss: mse",
            )
        if target.dtype != torch.int64:
            raise TaskError(
                f"cross_entropy needs classes as int64 targets, but {got}",
                where="data",
                remedy="number the classes from 0, as int64; for values write loss: mse",
            )

    def check_targets(self, output: Any, target: Any) -> None:
        """Every class between 0 and the number of outputs."""
        counted = target[target != _IGNORED]
        low, high = (int(counted.min()), int(counted.max())) if counted.numel() else (0, 0)
        if high >= output.shape[-1]:
            raise TaskError(
                f"the model gives {output.shape[-1]} outputs but targets go up to {high}",
                where="model",
                remedy=f"give the model {high + 1} outputs, or number the classes from 0",
            )
        if low < 0:
            raise TaskError(
                f"classes are numbered from 0, but targets go down to {low}",
                where="data",
                remedy=f"add {-low} to every target ({_IGNORED} marks one to leave out)",
            )

    def build(self, context: BuildContext) -> LossFunction:
        """The function."""
        from torch.nn import functional

        smoothing = self.label_smoothing

        def loss(output: Tensor, target: Tensor) -> Tensor:
            return functional.cross_entropy(output.flatten(0, -2), target.flatten(), label_smoothing=smoothing)

        return loss
