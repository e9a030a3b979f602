"""A model that has a width, as users bring one."""

from torch import nn


def net(width: int, inputs: int, outputs: int, norm: bool = False) -> nn.Module:
    """Two hidden layers of this width."""
    parts: list[nn.Module] = [nn.Flatten()]
    for before in (inputs, width):
        parts += [nn.Linear(before, width), *([nn.LayerNorm(width)] if norm else []), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(width, outputs))
