"""AdEMAMix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lrtool.optimizers.adam import Adam
from lrtool.optimizers.parts.pure import pure_optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class AdEMAMix(Adam):
    """AdEMAMix: AdamW with a second, much slower running mean of the gradient.

    m, v as Adam's;  s ← β₃ₜ·s + (1 − β₃ₜ)·∇L;
    w ← w·(1 − η·λ) − η·(m / (1 − β₁ᵗ) + αₜ·s) / (√(v / (1 − β₂ᵗ)) + ε),  t = 1, 2, …

    Over the first T = `slow_warmup` updates αₜ = α·t/T, and β₃ₜ goes from β₁ to β₃ such that 1/ln β₃ₜ is linear in t;
    T = 0: α and β₃ from the first on. The paper takes T as long as the run. η `lr`, λ `weight_decay`, α `alpha`,
    β `beta1`, `beta2`, `beta3`, ε `eps`. Source: Pagliardini et al. 2024, arXiv:2409.03137, algorithm 1.
    Torch has no class of it.
    """

    kind: Literal["ademamix"] = "ademamix"  # type: ignore[assignment]
    weight_decay: float = Field(0.01, ge=0, description="Weight decay, scaled by the LR.")
    beta3: float = Field(0.9999, ge=0, lt=1, description="Decay of the slow running mean of the gradient.")
    alpha: float = Field(5.0, ge=0, description="Weight of the slow running mean.")
    slow_warmup: float = Field(0.0, ge=0, description="Updates over which alpha and beta3 rise; the run's, or 0.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The pure update as a torch optimizer."""
        return pure_optimizer(self, groups)

    def to_group(self, hyperparameters: Mapping[str, float]) -> Mapping[str, Any]:
        """Under their own names."""
        return hyperparameters

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The running means."""
        return {**super().init_state(param), "slow": param.new_zeros(param.shape)}

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """AdEMAMix's update."""
        from torch import finfo

        beta1, t = h["beta1"].clamp(max=1 - finfo(param.dtype).eps / 2), step + 1
        first = -(t * beta1.log()).expm1()
        second = -(t * (math.log(self.beta2) if self.beta2 else -math.inf)).expm1()
        mean = state["mean"].lerp(grad, 1 - beta1)
        square = (self.beta2 * state["square"]).addcmul(grad, grad, value=1 - self.beta2)
        part = (t / self.slow_warmup).clamp(max=1.0) if self.slow_warmup else t.new_ones(t.shape)
        beta3 = self._slow_decay(part, beta1)
        slow = beta3 * state["slow"] + (1 - beta3) * grad
        root = square.sqrt() / second.sqrt() + self.eps
        decayed = param * (1 - h["lr"] * h["weight_decay"])
        after = decayed - h["lr"] * (mean / first + self.alpha * part * slow) / root
        return after, {"mean": mean, "square": square, "slow": slow}

    def _slow_decay(self, part: Tensor, beta1: Tensor) -> Tensor:
        """β₃ₜ after a part of the warm-up, never above β₃."""
        if self.beta3 == 0:
            return part.new_zeros(part.shape)
        # ln 0 = −∞ and 1/−∞ = −0, so that β₁ = 0 comes out as it should.
        inverse = (1 - part) / beta1.log() + part / math.log(self.beta3)
        return (1 / inverse).exp().clamp(max=self.beta3)
