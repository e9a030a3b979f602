"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lrtool.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum.

    g ← ∇L + λ·w;  b ← μ·b + (1 − τ)·g (b ← g at the first update);  w ← w − η·(g + μ·b if nesterov else b)

    Where μ is 0: w ← w − η·g, and b stays as it is; its first update is the first with μ above 0, as in torch.

    η `lr`, λ `weight_decay`, μ `momentum`, τ `dampening`. Source: torch.optim.SGD; Sutskever et al. 2013.
    """

    refined_by: ClassVar[Literal["l2", "l1"]] = "l2"
    scheduled: ClassVar[tuple[str, ...]] = ("momentum", "weight_decay")
    momentum_key: ClassVar[str | None] = "momentum"
    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.1, "momentum": 0.9}

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(0.0, ge=0, lt=1, description="Part of the last step that is kept.")
    dampening: float = Field(0.0, ge=0, le=1, description="Part of the gradient left out of the momentum buffer.")
    nesterov: bool = Field(False, description="Look ahead along the momentum (needs momentum, no dampening).")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening; write momentum: 0.9, dampening: 0")
        return self

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.SGD."""
        from torch.optim import SGD

        # A scheduled momentum may start at 0; nesterov is then checked by torch against this value only.
        return SGD(
            groups,
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
        )

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The momentum buffer; with dampening, whether it has been filled, (trials, 1, …)."""
        state = {"buffer": param.new_zeros(param.shape)}
        if self.dampening:
            state["filled"] = param.new_zeros(len(param), *[1] * (param.ndim - 1))
        return state

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """SGD's update."""
        grad = grad.addcmul(h["weight_decay"], param)
        momentum = h["momentum"]
        moves = (momentum != 0).to(grad.dtype)
        taken, after = moves, {}
        if self.dampening:
            filled = state["filled"]
            taken = moves * ((1 - filled) + (1 - self.dampening) * filled)
            after["filled"] = filled.maximum(moves)
        # One trial's factors: (μ, 1 − τ) where the buffer moves, (1, 0) where it stays.
        after["buffer"] = (state["buffer"] * (momentum + (1 - moves))).addcmul(taken, grad)
        ahead = grad.addcmul(momentum, after["buffer"]) if self.nesterov else after["buffer"]
        return param.addcmul(h["lr"], ahead.where(momentum != 0, grad), value=-1), after
