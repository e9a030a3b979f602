"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class RmsProp(Optimizer):
    """RMSprop: steps scaled by a running mean of the squared gradient.

    g ← ∇L + λ·w;  v ← α·v + (1 − α)·g²;  a ← α·a + (1 − α)·g;  d ← g / (√(v − a² if centered else v) + ε);
    b ← μ·b + d;  w ← w − η·b;  where μ is 0: w ← w − η·d, and b stays as it is

    η `lr`, λ `weight_decay`, α `alpha`, μ `momentum`. Source: torch.optim.RMSprop; Hinton 2012, lecture 6e.
    """

    scheduled: ClassVar[tuple[str, ...]] = ("momentum", "weight_decay")
    momentum_key: ClassVar[str | None] = "momentum"
    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.001}

    kind: Literal["rmsprop"] = "rmsprop"
    alpha: float = Field(0.99, ge=0, lt=1, description="Decay of the running mean of the squared gradient.")
    eps: float = Field(1e-8, gt=0, description="Added to the root, so that nothing is divided by zero.")
    momentum: float = Field(0.0, ge=0, lt=1, description="Part of the last step that is kept.")
    centered: bool = Field(False, description="Scale by the gradient's variance instead of its square.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.RMSprop."""
        from torch.optim import RMSprop as TorchRmsProp

        return TorchRmsProp(
            groups,
            lr=self.lr,
            alpha=self.alpha,
            eps=self.eps,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            centered=self.centered,
        )

    def apply(self, optimizer: torch.optim.Optimizer, lr: float, hyperparameters: Mapping[str, float]) -> None:
        """Set this step's LR and hyperparameters; a momentum that rises from 0 finds its buffers."""
        super().apply(optimizer, lr, hyperparameters)
        if hyperparameters["momentum"] > 0:
            # torch makes them at the first update only, and only where momentum is above 0 then.
            for state in optimizer.state.values():
                if state and "momentum_buffer" not in state:
                    state["momentum_buffer"] = state["square_avg"].new_zeros(state["square_avg"].shape)

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """Running means and momentum buffer."""
        names = ("square", "buffer", *(("mean",) if self.centered else ()))
        return {name: param.new_zeros(param.shape) for name in names}

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """RMSprop's update."""
        grad = grad.addcmul(h["weight_decay"], param)
        square = (self.alpha * state["square"]).addcmul(grad, grad, value=1 - self.alpha)
        after = {"square": square}
        variance = square
        if self.centered:
            # torch's own operators: where the variance is nearly 0, rounding decides how far a step goes.
            after["mean"] = state["mean"].lerp(grad, 1 - self.alpha)
            variance = square.addcmul(after["mean"], after["mean"], value=-1)
        root = variance.sqrt() + self.eps
        momentum = h["momentum"]
        moves = momentum > 0
        step_taken = grad / root
        after["buffer"] = (momentum * state["buffer"] + step_taken).where(moves, state["buffer"])
        return param.addcmul(h["lr"], after["buffer"].where(moves, step_taken), value=-1), after
