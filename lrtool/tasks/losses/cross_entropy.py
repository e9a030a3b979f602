"""Cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import BuildContext, DataShape, LossFunction, TargetKind
from lrtool.tasks.losses.base import Loss, WeightedMean, describe, need_tensors

if TYPE_CHECKING:
    from torch import Tensor


#: torch's own default: targets of this value do not count.
_IGNORED = -100


class CrossEntropy(Loss):
    """Mean negative log-likelihood of the right class under softmax(output).

    Output (B, C) with target (B,) or (B, 1); (B, T, C) with (B, T); or torch's own (B, C, …) with (B, …), as in
    segmentation. Targets of −100 are left out of the mean. Targets of the output's own shape are the classes'
    probabilities (soft or one-hot). `class_weights: balanced` makes every class count equally in sum.
    """

    targets: ClassVar[tuple[TargetKind, ...]] = ("class", "token")

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Part of the probability spread over all classes.")
    class_weights: Literal["balanced"] | tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        None, description="Weight of each class, or balanced: one over how often it occurs in training."
    )

    def check(self, shape: DataShape) -> None:
        """Values in several columns may be probabilities of classes."""
        if shape.target != "value" or shape.outputs < 2:
            super().check(shape)

    def fitted(self, train: Any) -> Loss:
        """With the weights that balance the training targets; UsageError where those are not in memory."""
        if self.class_weights != "balanced":
            return self
        target = getattr(train, "target", None)
        if target is None or isinstance(target, str) or target.is_floating_point():
            raise UsageError(
                "how often each class occurs is not known beforehand",
                where="loss.class_weights",
                remedy="write the weights: class_weights: [1, 3.5], or return tensors or arrays as data",
            )
        counts = target[target != _IGNORED].flatten().bincount().double()
        weights = counts.sum() / (len(counts) * counts.clamp(min=1))
        return self.model_copy(update={"class_weights": tuple(weights.tolist())})

    def check_batch(self, output: Any, target: Any) -> None:
        """Classes on the last axis or the second, and whole numbers for the other axes; or probabilities."""
        output, target = need_tensors(self.kind, output, target)
        got = f"the model gives {describe(output)} and the target is {describe(target)}"
        if _form(output, target) is None:
            raise TaskError(
                f"cross_entropy needs outputs (batch, classes) with targets (batch,), but {got}",
                where="model",
                remedy="put the classes on the model's last axis; for values write loss: mse",
            )
        if target.is_floating_point() and target.shape != output.shape:
            raise TaskError(
                f"cross_entropy needs classes as whole numbers, but {got}",
                where="data",
                remedy="number the classes from 0, as int64; for values write loss: mse",
            )

    def check_targets(self, output: Any, target: Any) -> None:
        """Every class between 0 and the number of outputs; probabilities that sum to 1."""
        classes = output.shape[1 if _form(output, target[: len(output)]) == "second" else -1]
        if _form(output, target[: len(output)]) == "soft":
            sums = target.double().sum(-1)
            if float((sums - 1).abs().max()) > 1e-3 or float(target.min()) < 0:
                raise TaskError(
                    f"targets of the output's shape are probabilities, but some sum to {float(sums.max()):g}",
                    where="data",
                    remedy="write loss: bce where a sample may have several labels or none",
                )
            return
        counted = target[target != _IGNORED]
        low, high = (int(counted.min()), int(counted.max())) if counted.numel() else (0, 0)
        if high >= classes:
            raise TaskError(
                f"the model gives {classes} outputs but targets go up to {high}",
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
        import torch
        from torch.nn import functional

        smoothing, given = self.label_smoothing, self.class_weights
        weights = torch.tensor(given) if isinstance(given, tuple) else None

        def loss(output: Tensor, target: Tensor) -> Tensor:
            weight = weights.to(output) if weights is not None else None
            match _form(output, target):
                case "soft":
                    output, target = output.flatten(0, -2), target.flatten(0, -2).to(output.dtype)
                case "last":
                    output, target = output.flatten(0, -2), target.flatten().long()
                case _:
                    target = target.long()
            return functional.cross_entropy(output, target, weight, label_smoothing=smoothing)

        def counted(output: Tensor, target: Tensor) -> Any:
            if target.is_floating_point():
                return target.numel() // target.shape[-1]
            kept = target[target != _IGNORED].long()
            return weights.to(target.device)[kept].sum() if weights is not None else kept.numel()

        def even(target: Tensor) -> bool:
            return target.is_floating_point() or (weights is None and not bool((target == _IGNORED).any()))

        return WeightedMean(loss, counted, even)


def _form(output: Tensor, target: Tensor) -> Literal["last", "second", "soft"] | None:
    """How targets go with outputs: classes on the last axis, or the second; or the classes' probabilities."""
    if output.ndim < 2:
        return None
    if output.shape[:-1] in (target.shape, target.shape[:-1] if target.shape[-1:] == (1,) else None):
        return "last"
    if output.shape == target.shape:
        return "soft"
    if output.ndim > 2 and (output.shape[0], *output.shape[2:]) == tuple(target.shape):
        return "second"
    return None
