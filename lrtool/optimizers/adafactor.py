"""Adafactor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Adafactor(Optimizer):
    """Adafactor: steps relative to the weights' own size, the mean square of a matrix kept as a row and a column.

    ρ = min(η, 1/√t);  α = max(ε₂, RMS(w))·ρ;  w ← w·(1 − η·λ);  c = 1 − t^κ;  t = 1, 2, …
    R ← c·R + (1 − c)·mean of g² along rows;  C likewise along columns;  v = R·C / mean(R)
    (vectors: v ← c·v + (1 − c)·g²);  u = g / max(√v, ε₁);  w ← w − α·u / max(1, RMS(u)/d)

    η `lr`, λ `weight_decay`, κ `beta2_decay`, ε₁ `eps`, ε₂ `min_scale`, d `clip_threshold`. No momentum.
    Source: Shazeer & Stern 2018, arXiv:1804.04235; torch.optim.Adafactor.
    """

    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.01}

    kind: Literal["adafactor"] = "adafactor"
    weight_decay: float = Field(0.0, ge=0, description="Weight decay, scaled by the LR.")
    beta2_decay: float = Field(-0.8, ge=-1, le=0, description="Power of the update's number in the mean's decay.")
    eps: float = Field(0.0, ge=0, description="Smallest root that is divided by; 0: the precision's own epsilon.")
    min_scale: float = Field(1e-3, ge=0, description="Steps are relative to at least this size of a weight.")
    clip_threshold: float = Field(1.0, ge=1, description="Larger steps, by their RMS, are scaled down to this.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.Adafactor."""
        from torch.optim import Adafactor as TorchAdafactor

        return TorchAdafactor(
            groups,
            lr=self.lr,
            beta2_decay=self.beta2_decay,
            eps=(self.eps or None, self.min_scale),
            d=self.clip_threshold,
            weight_decay=self.weight_decay,
        )

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The mean squares: of each row and column of a matrix, of each weight of a vector."""
        if param.ndim < 3:
            return {"square": param.new_zeros(param.shape)}
        rows, columns = param.shape[-2:]
        above = param.shape[:-2]
        return {"rows": param.new_zeros((*above, rows, 1)), "columns": param.new_zeros((*above, 1, columns))}

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Adafactor's update."""
        from torch import finfo

        eps, t = self.eps or finfo(param.dtype).eps, step + 1
        size = _rms(param).clamp(min=self.min_scale) * h["lr"].minimum(t.rsqrt())
        new = t**self.beta2_decay
        if param.ndim < 3:
            after = {"square": state["square"].lerp(grad * grad, new)}
            square = after["square"]
        else:
            along = {"rows": -1, "columns": -2}
            means = {name: grad.norm(dim=dim, keepdim=True).square() / grad.shape[dim] for name, dim in along.items()}
            after = {name: state[name].lerp(mean, new) for name, mean in means.items()}
            square = after["rows"] @ after["columns"] / after["rows"].mean(-2, keepdim=True).clamp(min=eps)
        step_taken = square.clamp(min=eps * eps).rsqrt() * grad
        clipped = (_rms(step_taken) / self.clip_threshold).clamp(min=1.0)
        return param * (1 - h["lr"] * h["weight_decay"]) - size / clipped * step_taken, after


def _rms(stacked: Tensor) -> Tensor:
    """The root of the mean square of each of the stacked tensors, (trials, 1, …)."""
    flat = stacked.flatten(1)
    size: Tensor = flat.norm(dim=1) / flat.shape[1] ** 0.5
    return size.reshape(-1, *[1] * (stacked.ndim - 1))
