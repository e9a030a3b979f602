"""Parts that two or more of the built-in models share; what only one model has stands in that model's own file.

Everything here stacks under `torch.func.vmap`: control flow depends on shapes only, and no value leaves the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}

#: Convolutions and norms by the number of spatial axes.
CONV: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
NORM: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}


class Network(nn.Module):
    """A module of named parts whose forward pass is a function: `function(module, *inputs)`.

    With it a model's file needs no subclass of `nn.Module`, and so no torch before the model is built. Parts that are
    modules, and their parameters, have the names given here; other parts are plain attributes.

    >>> twice = Network(lambda net, x: net.layer(x) * net.factor, layer=nn.Identity(), factor=2)
    >>> import torch
    >>> twice(torch.ones(2))
    tensor([2., 2.])
    """

    def __init__(self, function: Callable[..., Tensor], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the function gives."""
        return self.function(self, *inputs)


class Shaped(nn.Module):
    """Gives every sample of the batch a fixed shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """(batch, …) → (batch, *shape)."""
        return x.reshape(-1, *self.shape)
