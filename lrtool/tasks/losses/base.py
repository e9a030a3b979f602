"""What every loss shares: a specification, and checks that a model's output fits it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import BuildContext, DataShape, LossFunction, TargetKind

if TYPE_CHECKING:
    from torch import Tensor


class Loss(BaseModel, ABC):
    """A loss's specification; `build` gives a function (output, target) → mean over the batch."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    #: The kinds of target the loss is for; "unknown" is always let through, and judged by the first batch.
    targets: ClassVar[tuple[TargetKind, ...]] = ("class", "token", "value", "unknown")

    kind: str

    def check(self, shape: DataShape) -> None:
        """Raise UsageError where the loss is not one for this kind of target."""
        if shape.target not in (*self.targets, "unknown"):
            right = "cross_entropy" if shape.target in ("class", "token") else "mse"
            raise UsageError(
                f"the loss {self.kind!r} is not for targets of kind {shape.target!r}",
                where="loss",
                remedy=f"write loss: {right}",
            )

    def check_batch(self, output: Any, target: Any) -> None:
        """Raise TaskError where a model's output and the target do not fit this loss, by shape and type alone."""

    def check_targets(self, output: Any, target: Any) -> None:
        """Raise TaskError where a value among all targets in memory breaks this loss's rule."""

    @abstractmethod
    def build(self, context: BuildContext) -> LossFunction:
        """The function; pure torch, so it stacks under `torch.func.vmap`."""


def describe(value: Any) -> str:
    """A tensor by shape and type, anything else by its class.

    >>> describe([1, 2])
    'a list'
    """
    import torch

    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return f"a {type(value).__name__}"


def need_tensors(kind: str, output: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors, or a TaskError that says what came instead."""
    import torch

    if not isinstance(output, torch.Tensor):
        raise TaskError(
            f"the loss {kind!r} needs a tensor from the model, but the model returns {describe(output)}",
            where="model",
            remedy="return one tensor, or write a loss of your own: loss: {use: 'my_loss.py:loss'}",
        )
    if not isinstance(target, torch.Tensor):
        raise TaskError(
            f"the loss {kind!r} needs a tensor as target, but the data set gives {describe(target)}",
            where="data",
            remedy="end each sample's tuple with its target, or put it under the key 'target' of its mapping",
        )
    return output, target


class Elementwise(Loss):
    """A loss that compares output and target number by number; shapes must be equal, for broadcasting hides errors."""

    targets: ClassVar[tuple[TargetKind, ...]] = ("value",)

    def check_batch(self, output: Any, target: Any) -> None:
        """Equal shapes, both floating point."""
        output, target = need_tensors(self.kind, output, target)
        got = f"the model gives {describe(output)} and the target is {describe(target)}"
        if output.shape != target.shape:
            raise TaskError(
                f"the loss {self.kind!r} compares number by number, but {got}",
                where="model",
                remedy=f"make the model's output {tuple(target.shape)} for this batch, or reshape the target",
            )
        if not target.is_floating_point():
            raise TaskError(
                f"the loss {self.kind!r} needs floating-point targets, but {got}",
                where="data",
                remedy="return the target as float32, or write loss: cross_entropy for classes",
            )
