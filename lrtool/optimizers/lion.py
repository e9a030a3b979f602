"""Lion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.optimizers.base import Optimizer
from lrtool.optimizers.parts.pure import pure_optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Lion(Optimizer):
    """Lion: the sign of a running mean of the gradient, so that every weight moves by the LR.

    u ← sign(β₁·m + (1 − β₁)·∇L);  w ← w·(1 − η·λ) − η·u;  m ← β₂·m + (1 − β₂)·∇L

    η `lr`, 3 to 10 times smaller than AdamW's; λ `weight_decay`, as much larger; β `beta1`, `beta2`.
    Source: Chen et al. 2023, arXiv:2302.06675, program 1. Torch has no class of it.
    """

    scheduled: ClassVar[tuple[str, ...]] = ("beta1", "weight_decay")
    momentum_key: ClassVar[str | None] = "beta1"
    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.0001}

    kind: Literal["lion"] = "lion"
    weight_decay: float = Field(0.0, ge=0, description="Weight decay, scaled by the LR.")
    beta1: float = Field(0.9, ge=0, lt=1, description="Weight of the running mean in the step's direction.")
    beta2: float = Field(0.99, ge=0, lt=1, description="Decay of the running mean of the gradient.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The pure update as a torch optimizer."""
        return pure_optimizer(self, groups)

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The running mean."""
        return {"mean": param.new_zeros(param.shape)}

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Lion's update."""
        direction = (h["beta1"] * state["mean"] + (1 - h["beta1"]) * grad).sign()
        mean = self.beta2 * state["mean"] + (1 - self.beta2) * grad
        return param * (1 - h["lr"] * h["weight_decay"]) - h["lr"] * direction, {"mean": mean}
