"""A frozen network with low-rank adapters beside its layers, the only part that is trained."""

import torch
from torch import Tensor, nn


class Adapted(nn.Module):
    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.scale * (x @ self.down.T @ self.up.T)


def model(rank: int = 2, alpha: float = 4.0) -> nn.Module:
    base = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 3))
    for name in ("0", "2"):
        setattr(base, name, Adapted(base.get_submodule(name), rank, alpha))
    for name, parameter in base.named_parameters():
        parameter.requires_grad = name.endswith((".down", ".up")) or name.startswith("4.")
    return base


def load() -> tuple[Tensor, Tensor]:
    x = torch.randn(96, 6, generator=torch.Generator().manual_seed(3))
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
