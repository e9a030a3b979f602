"""Muon, with AdamW for what is not a hidden matrix."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.errors import UsageError
from lrtool.optimizers.adam import AdamW
from lrtool.optimizers.base import Optimizer
from lrtool.optimizers.parts.groups import Placed
from lrtool.optimizers.parts.layers import Parameters
from lrtool.optimizers.parts.pure import pure_optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Names that embeddings and output layers go by, where the model has no module that says so.
_NOT_HIDDEN = ("*embed*", "*_emb.*", "*wte.*", "*wpe.*", "*cls_token", "*lm_head*")
#: a, b, c of the iteration that makes a matrix orthogonal, as in torch.optim.Muon.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_SMALLEST_NORM = 1e-7


class Muon(Optimizer):
    """Muon: momentum whose matrix is made orthogonal before each step; AdamW for all that is not a hidden matrix.

    b ← μ·b + (1 − μ)·∇L;  x = (1 − μ)·∇L + μ·b if nesterov else b;  x ← x / ‖x‖;
    `ns_steps` times: A = x·xᵀ, x ← a·x + (b·A + c·A²)·x;  w ← w·(1 − η·λ) − η·s·x,  matrices (m, n), (a, b, c) =
    (3.4445, −4.7750, 2.0315);  s = 0.2·√max(m, n) for `match_rms_adamw`, √max(1, m/n) for `original`

    With `match_rms_adamw` a step is as large as AdamW's, so that both rules share one LR and one weight decay.
    Hidden are parameters with two or more dimensions (convolutions as matrices with a row for each output), without
    embeddings, the last one (the output layer) and names such as `*embed*`, `lm_head`; `groups: [{match: …, rule:
    muon}]` or `rule: adamw` says otherwise. torch.optim.Muon iterates in bfloat16, this in the weights' own precision.

    η `lr`, λ `weight_decay`, μ `momentum`. Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al.
    2025, arXiv:2502.16982; torch.optim.Muon.
    """

    scheduled: ClassVar[tuple[str, ...]] = ("momentum", "beta1", "weight_decay")
    momentum_key: ClassVar[str | None] = "momentum"
    rules: ClassVar[tuple[str, ...]] = ("adamw", "muon")
    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.001}

    kind: Literal["muon"] = "muon"
    weight_decay: float = Field(0.1, ge=0, description="Weight decay, scaled by the LR.")
    momentum: float = Field(0.95, ge=0, lt=1, description="Decay of the running mean of a hidden matrix's gradient.")
    nesterov: bool = Field(True, description="Look ahead along the momentum.")
    ns_steps: int = Field(5, ge=1, le=10, description="Iterations that make a step orthogonal.")
    adjust_lr: Literal["match_rms_adamw", "original"] = Field(
        "match_rms_adamw", description="How a matrix's shape scales its step: as large as AdamW's, or as published."
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's decay of the running mean of the gradient.")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's decay of the running mean of its square.")
    eps: float = Field(1e-8, gt=0, description="Added to AdamW's root, so that nothing is divided by zero.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The pure update as a torch optimizer: torch's own takes no AdamW beside it, and iterates in bfloat16."""
        return pure_optimizer(self, groups)

    def placed(self, parameters: Parameters) -> dict[str, Placed]:
        """Also: UsageError where a group gives the rule muon to what is no matrix."""
        placed = super().placed(parameters)
        for name, each in placed.items():
            if each.rule == "muon" and len(parameters.shapes[name]) < 2:
                raise UsageError(
                    f"muon updates matrices, but {name} has the shape {parameters.shapes[name]}",
                    where=f"optimizer.groups.{each.place[0]}.rule",
                    remedy="write rule: adamw, or add min_ndim: 2",
                )
        return placed

    def default_rule(self, name: str, parameters: Parameters) -> str | None:
        """muon for hidden matrices."""
        outside = name in parameters.embeddings or any(fnmatch.fnmatchcase(name, each) for each in _NOT_HIDDEN)
        hidden = len(parameters.shapes[name]) > 1 and name != parameters.output and not outside
        return "muon" if hidden else "adamw"

    def form(self, rule: str | None) -> Optimizer:
        """This for hidden matrices, AdamW for the rest."""
        if rule == "muon":
            return self
        shared = {name: getattr(self, name) for name in ("lr", "weight_decay", "beta1", "beta2", "eps")}
        return AdamW(**shared)

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The running mean of the gradient."""
        return {"mean": param.new_zeros(param.shape)}

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Muon's update of a hidden matrix."""
        mean = state["mean"].lerp(grad, 1 - h["momentum"])
        ahead = grad.lerp(mean, h["momentum"]) if self.nesterov else mean
        matrix = ahead.flatten(2)
        rows, columns = matrix.shape[1:]
        wide = matrix if rows <= columns else matrix.mT
        step_taken = self._orthogonal(wide)
        step_taken = (step_taken if rows <= columns else step_taken.mT).reshape(param.shape)
        match self.adjust_lr:
            case "match_rms_adamw":
                scale = 0.2 * max(rows, columns) ** 0.5
            case "original":
                scale = max(1.0, rows / columns) ** 0.5
        return param * (1 - h["lr"] * h["weight_decay"]) - h["lr"] * scale * step_taken, {"mean": mean}

    def _orthogonal(self, x: Tensor) -> Tensor:
        """Matrices (trials, m, n), m ≤ n, with all their singular values brought near 1."""
        a, b, c = _COEFFICIENTS
        x = x / x.flatten(1).norm(dim=1).clamp(min=_SMALLEST_NORM).reshape(-1, 1, 1)
        for _ in range(self.ns_steps):
            gram = x @ x.mT
            x = a * x + (b * gram + c * gram @ gram) @ x
        return x
