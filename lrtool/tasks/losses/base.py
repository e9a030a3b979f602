"""What every loss shares: a specification, and checks that a model's output fits it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
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
    targets: ClassVar[tuple[TargetKind, ...]] = ("class", "token", "value", "labels", "unknown")

    kind: str

    def check(self, shape: DataShape) -> None:
        """Raise UsageError where the loss is not one for this kind of target."""
        if shape.target not in (*self.targets, "unknown"):
            right = {"class": "cross_entropy", "token": "cross_entropy", "labels": "bce"}.get(shape.target, "mse")
            raise UsageError(
                f"the loss {self.kind!r} is not for targets of kind {shape.target!r}",
                where="loss",
                remedy=f"write loss: {right}",
            )

    def check_batch(self, output: Any, target: Any) -> None:
        """Raise TaskError where a model's output and the target do not fit this loss, by shape and type alone."""

    def check_targets(self, output: Any, target: Any) -> None:
        """Raise TaskError where a value among all targets in memory breaks this loss's rule."""

    def fitted(self, train: Any) -> Loss:
        """The same loss with what it takes from the training data, a source."""
        return self

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


def check_loss(loss: Any) -> None:
    """Raise TaskError unless a loss can be trained on: one floating-point number that depends on the model."""
    import torch

    if loss is None:
        raise TaskError("no loss is set and the model returned none", where="loss", remedy="write loss: cross_entropy")
    if not isinstance(loss, torch.Tensor) or loss.ndim or not loss.is_floating_point():
        raise TaskError(
            f"a loss is one number, the mean over the batch, but got {describe(loss)}",
            where="loss",
            remedy="return loss.mean()",
        )
    if not loss.requires_grad:
        raise TaskError(
            "the loss does not depend on the model's parameters, so nothing can be trained",
            where="loss",
            remedy="look for .item(), .detach(), no_grad(), argmax() or numpy between the model and its loss, or frozen"
            " parameters",
        )


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


def like(target: Tensor, output: Tensor) -> Tensor:
    """A target (n,) for outputs (n, 1), or the other way round, in the output's shape."""
    if target.ndim != output.ndim and target.numel() == output.numel():
        return target.reshape(output.shape)
    return target


@dataclass(frozen=True)
class WeightedMean:
    """A loss that is no mean over the samples but Σ w·ℓ / Σ w; `weight(output, target)` is Σ w of a batch.

    `even(target)`: whether each of these samples counts as much as any other, so that it is their mean after all.
    """

    function: LossFunction
    weight: Callable[[Any, Any], Any]
    even: Callable[[Any], bool]

    def __call__(self, output: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return self.function(output, target)


class Elementwise(Loss):
    """A loss that compares output and target number by number; shapes must be equal, for broadcasting hides errors.

    A last axis of 1, as in (n, 1), may be missing on either side.
    """

    targets: ClassVar[tuple[TargetKind, ...]] = ("value", "labels")
    #: Whether targets may be whole numbers.
    whole: ClassVar[bool] = False

    def check_batch(self, output: Any, target: Any) -> None:
        """Equal shapes, both floating point."""
        output, target = need_tensors(self.kind, output, target)
        got = f"the model gives {describe(output)} and the target is {describe(target)}"
        if output.squeeze(-1).shape != target.squeeze(-1).shape or len(output) != len(target):
            raise TaskError(
                f"the loss {self.kind!r} compares number by number, but {got}",
                where="model",
                remedy=f"make the model's output {tuple(target.shape)} for this batch, or reshape the target",
            )
        if not target.is_floating_point() and not self.whole:
            raise TaskError(
                f"the loss {self.kind!r} needs floating-point targets, but {got}",
                where="data",
                remedy="return the target as float32, or write loss: cross_entropy for classes",
            )

    @abstractmethod
    def function(self) -> LossFunction:
        """The loss of outputs and targets of one shape."""

    def build(self, context: BuildContext) -> LossFunction:
        """The loss; targets are put into the outputs' shape."""
        function = self.function()

        def loss(output: Tensor, target: Tensor) -> Tensor:
            return function(output, like(target, output))

        return loss
