"""Prodigy, through the package of its authors."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lrtool.errors import MissingExtraError
from lrtool.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch


class Prodigy(Optimizer):
    """AdamW that estimates its own LR while it trains.

    η_t = d_t · γ_t, where d_t, a lower bound of the distance to the solution, only grows

    γ `lr` is a multiplier that the schedule scales, 1 as a rule; cosine decay is advised. `d_coef` multiplies the
    estimate. Parameter groups cannot have LRs of their own. Needs the extra `free`.
    Source: Mishchenko & Defazio 2024, arXiv:2306.06101.
    """

    stackable: ClassVar[bool] = False
    starting: ClassVar[Mapping[str, Any]] = {"lr": 1.0}

    kind: Literal["prodigy"] = "prodigy"
    lr: float = Field(1.0, gt=0, description="Multiplies the LR that is estimated.")
    beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the running mean of the gradient.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Decay of the running mean of its square.")
    eps: float = Field(1e-8, gt=0, description="Added to the root, so that nothing is divided by zero.")
    d_coef: float = Field(1.0, gt=0, description="Multiplies the estimate of the distance.")
    bias_correction: bool = Field(False, description="Correct the running means at the start, as Adam does.")
    safeguard_warmup: bool = Field(False, description="Keep a warm-up from inflating the estimate.")

    @model_validator(mode="after")
    def _one_lr(self) -> Self:
        for number, group in enumerate(self.groups):
            if group.lr_scale not in (0.0, 1.0):
                raise ValueError(
                    f"prodigy has one LR for all parameters, but groups.{number}.lr_scale is {group.lr_scale:g};"
                    " write 1, or 0 to freeze the group"
                )
        return self

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """prodigyopt.Prodigy; MissingExtraError without the package."""
        try:
            from prodigyopt import Prodigy as Package
        except ImportError:
            raise MissingExtraError("prodigyopt", extra="free", where="optimizer.kind") from None
        # It prints a remark about weight decay, which has no place on our stdout.
        with contextlib.redirect_stdout(io.StringIO()):
            made: torch.optim.Optimizer = Package(
                groups,
                lr=self.lr,
                betas=(self.beta1, self.beta2),
                eps=self.eps,
                weight_decay=self.weight_decay,
                use_bias_correction=self.bias_correction,
                safeguard_warmup=self.safeguard_warmup,
                d_coef=self.d_coef,
            )
        return made
