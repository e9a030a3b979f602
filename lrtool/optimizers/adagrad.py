"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lrtool.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Adagrad(Optimizer):
    """Adagrad: steps scaled by the root of all squared gradients so far.

    g ← ∇L + λ·w;  s ← s + g²;  w ← w − η/(1 + t·κ) · g / (√s + ε),  t = 0, 1, …

    η `lr`, λ `weight_decay`, κ `lr_decay`; s starts at `initial`. Source: Duchi et al. 2011.
    """

    kind: Literal["adagrad"] = "adagrad"
    lr_decay: float = Field(0.0, ge=0, description="Adagrad's own decay; leave it at 0 under a schedule.")
    initial: float = Field(0.0, ge=0, le=1e38, description="Where the sum of squares starts; a float32.")
    eps: float = Field(1e-10, gt=0, description="Added to the root, so that nothing is divided by zero.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.Adagrad."""
        from torch.optim import Adagrad as TorchAdagrad

        return TorchAdagrad(
            groups,
            lr=self.lr,
            lr_decay=self.lr_decay,
            weight_decay=self.weight_decay,
            initial_accumulator_value=self.initial,
            eps=self.eps,
        )

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The sum of squares."""
        return {"sum": param.new_full(param.shape, self.initial)}

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Adagrad's update."""
        grad = grad.addcmul(h["weight_decay"], param)
        total = state["sum"].addcmul(grad, grad)
        lr = h["lr"] / (1 + step * self.lr_decay)
        return param - lr * grad / (total.sqrt() + self.eps), {"sum": total}
