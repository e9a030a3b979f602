"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and its square.

    g ← ∇L + λ·w;  m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²;
    w ← w − η·(m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε),  t = 1, 2, …

    η `lr`, λ `weight_decay`, β `beta1`, `beta2`, ε `eps`. With a scheduled β₁ the correction uses its value
    now, as torch does. Source: Kingma & Ba 2015, arXiv:1412.6980.
    """

    scheduled: ClassVar[tuple[str, ...]] = ("beta1", "weight_decay")
    momentum_key: ClassVar[str | None] = "beta1"
    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.001}

    kind: Literal["adam"] = "adam"
    beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the running mean of the gradient.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Decay of the running mean of its square.")
    eps: float = Field(1e-8, gt=0, description="Added to the root, so that nothing is divided by zero.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.Adam."""
        from torch.optim import Adam as TorchAdam

        return TorchAdam(
            groups, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps, weight_decay=self.weight_decay
        )

    def to_group(self, hyperparameters: Mapping[str, float]) -> Mapping[str, Any]:
        """torch keeps β₁ and β₂ as a pair."""
        settings = {name: value for name, value in hyperparameters.items() if name != "beta1"}
        return {**settings, "betas": (hyperparameters["beta1"], self.beta2)}

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The running means."""
        return {"mean": param.new_zeros(param.shape), "square": param.new_zeros(param.shape)}

    def decayed(self, param: Tensor, grad: Tensor, h: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Parameter and gradient after weight decay, which Adam adds to the gradient."""
        return param, grad.addcmul(h["weight_decay"], param)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Adam's update."""
        from torch import finfo

        param, grad = self.decayed(param, grad, h)
        # In single precision a β₁ just below 1 is 1, and what it is divided by would be 0.
        beta1, t = h["beta1"].clamp(max=1 - finfo(param.dtype).eps / 2), step + 1
        # 1 − βᵗ as −expm1(t·ln β): the plain difference loses half the digits of float32 at the first updates.
        first = -(t * beta1.log()).expm1()
        second = -(t * (math.log(self.beta2) if self.beta2 else -math.inf)).expm1()
        mean = state["mean"].lerp(grad, 1 - beta1)
        square = (self.beta2 * state["square"]).addcmul(grad, grad, value=1 - self.beta2)
        root = square.sqrt() / second.sqrt() + self.eps
        return param - h["lr"] / first * mean / root, {"mean": mean, "square": square}


class AdamW(Adam):
    """Adam with weight decay kept apart from the gradient.

    w ← w·(1 − η·λ), then Adam's update without λ. Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
    """

    kind: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    weight_decay: float = Field(0.01, ge=0, description="Weight decay, scaled by the LR.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.AdamW."""
        from torch.optim import AdamW as TorchAdamW

        return TorchAdamW(
            groups, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps, weight_decay=self.weight_decay
        )

    def decayed(self, param: Tensor, grad: Tensor, h: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Parameter and gradient after weight decay, which AdamW takes off the parameter."""
        return param * (1 - h["lr"] * h["weight_decay"]), grad
