"""NAdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lrtool.optimizers.adam import Adam

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class NAdamW(Adam):
    """NAdamW: AdamW that looks ahead along its momentum, as Nesterov's does.

    w ← w·(1 − η·λ);  μ_t = β₁·(1 − ½·0.96^(t·ψ));  m, v as Adam's;
    w ← w − η·((1 − μ_t)·∇L / (1 − Π_{i≤t} μ_i) + μ_{t+1}·m / (1 − Π_{i≤t+1} μ_i)) / (√(v / (1 − β₂ᵗ)) + ε),
    t = 1, 2, …

    η `lr`, λ `weight_decay`, β `beta1`, `beta2`, ψ `momentum_decay`, ε `eps`. The product of the μ is kept in single
    precision, as torch keeps it. Source: Dozat 2016, ICLR workshop; torch.optim.NAdam with decoupled weight decay.
    """

    kind: Literal["nadamw"] = "nadamw"  # type: ignore[assignment]
    weight_decay: float = Field(0.01, ge=0, description="Weight decay, scaled by the LR.")
    momentum_decay: float = Field(0.004, ge=0, description="How fast the momentum reaches β₁; 0: it stays at half.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.NAdam, its weight decay kept apart from the gradient."""
        from torch.optim import NAdam

        return NAdam(
            groups,
            lr=self.lr,
            betas=(self.beta1, self.beta2),
            eps=self.eps,
            weight_decay=self.weight_decay,
            momentum_decay=self.momentum_decay,
            decoupled_weight_decay=True,
        )

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The running means, and the product of the momenta so far, (trials, 1, …)."""
        from torch import float32

        product = param.new_ones(len(param), *[1] * (param.ndim - 1), dtype=float32)
        return {**super().init_state(param), "product": product}

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """NAdamW's update."""
        import torch

        wide = torch.float32 if param.device.type == "mps" else torch.float64
        t, beta1 = step.to(wide) + 1, h["beta1"].to(wide)
        mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (at * self.momentum_decay)) for at in (t, t + 1))
        product = state["product"] * mu.to(torch.float32)
        second = -(t * (math.log(self.beta2) if self.beta2 else -math.inf)).expm1()
        mean = state["mean"].lerp(grad, 1 - h["beta1"])
        square = (self.beta2 * state["square"]).addcmul(grad, grad, value=1 - self.beta2)
        root = (square / second.to(param.dtype)).sqrt() + self.eps
        now = (h["lr"].to(wide) * (1 - mu) / (1 - product.to(wide))).to(param.dtype)
        then = (h["lr"].to(wide) * ahead / (1 - product.to(wide) * ahead)).to(param.dtype)
        param = param * (1 - h["lr"] * h["weight_decay"])
        return param - now * grad / root - then * mean / root, {"mean": mean, "square": square, "product": product}
