"""SOAP, through the package pytorch-optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.errors import MissingExtraError
from lrtool.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch


class Soap(Optimizer):
    """SOAP: Adam in the eigenbasis of Shampoo's running means of G·Gᵀ and Gᵀ·G.

    L ← β·L + (1 − β)·G·Gᵀ;  R ← β·R + (1 − β)·Gᵀ·G;  every `every` updates Q_L, Q_R ← their eigenvectors;
    G′ = Q_Lᵀ·G·Q_R, Adam's m and v of G′;  w ← w·(1 − η·λ) − η·Q_L·(m / (√v + ε))·Q_Rᵀ

    β is β₂. Vectors, and sides longer than `longest`, stay in their own basis. The first update only gathers. η `lr`,
    λ `weight_decay`, β `beta1`, `beta2`, ε `eps`. Needs the extra `soap`. Source: Vyas et al. 2024, arXiv:2409.11321.
    """

    stackable: ClassVar[bool] = False
    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.003}

    kind: Literal["soap"] = "soap"
    weight_decay: float = Field(0.01, ge=0, description="Weight decay, scaled by the LR.")
    beta1: float = Field(0.95, ge=0, lt=1, description="Decay of the running mean of the gradient.")
    beta2: float = Field(0.95, ge=0, lt=1, description="Decay of the running means of its square and of the bases.")
    eps: float = Field(1e-8, gt=0, description="Added to the root, so that nothing is divided by zero.")
    every: int = Field(10, ge=1, description="Updates between two looks for new bases.")
    longest: int = Field(10_000, ge=1, description="Sides of a matrix that are longer keep their own basis.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """pytorch_optimizer.SOAP; MissingExtraError without the package."""
        try:
            from pytorch_optimizer import SOAP
        except ImportError:
            raise MissingExtraError("pytorch-optimizer", extra="soap", where="optimizer.kind") from None
        made: torch.optim.Optimizer = SOAP(
            groups,
            lr=self.lr,
            betas=(self.beta1, self.beta2),
            weight_decay=self.weight_decay,
            precondition_frequency=self.every,
            max_precondition_dim=self.longest,
            eps=self.eps,
        )
        return made
