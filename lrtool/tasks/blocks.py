"""The networks behind the built-in models.

Everything here stacks under `torch.func.vmap`: control flow depends on shapes only, and no value leaves the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}

# By the number of spatial axes.
_CONV: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
_NORM: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
_POOL: dict[int, type[nn.MaxPool1d] | type[nn.MaxPool2d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


def mlp(
    inputs: int, hidden: Sequence[int], outputs: int, *, activation: str, norm: str, dropout: float
) -> nn.Sequential:
    """Flatten, then per hidden width linear → norm → activation → dropout, then linear."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in hidden:
        layers.append(nn.Linear(inputs, width))
        if norm != "none":
            layers.append(nn.BatchNorm1d(width) if norm == "batch" else nn.LayerNorm(width))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
        inputs = width
    layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)


class Shaped(nn.Module):
    """Gives every sample of the batch a fixed shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """(batch, …) → (batch, *shape)."""
        return x.reshape(-1, *self.shape)


def cnn(
    inputs: int,
    sizes: Sequence[int],
    channels: Sequence[int],
    outputs: int,
    *,
    kernel: int,
    activation: str,
    batch_norm: bool,
    dropout: float,
) -> nn.Sequential:
    """Per width convolution → norm → activation → max-pool by 2 (while every side is at least 2), then linear."""
    axes, sizes = len(sizes), tuple(sizes)
    layers: list[nn.Module] = [Shaped(inputs, *sizes)]
    for width in channels:
        layers.append(_CONV[axes](inputs, width, kernel, padding=kernel // 2, bias=not batch_norm))
        if batch_norm:
            layers.append(_NORM[axes](width))
        layers.append(ACTIVATIONS[activation]())
        if min(sizes) >= 2:
            layers.append(_POOL[axes](2))
            sizes = tuple(size // 2 for size in sizes)
        inputs = width
    layers.append(nn.Flatten())
    if dropout:
        layers.append(nn.Dropout(dropout))
    layers.append(nn.Linear(inputs * math.prod(sizes), outputs))
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """Two convolutions with batch norm around a shortcut, which is a 1×1 convolution where the shape changes."""

    def __init__(self, axes: int, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        conv, norm = _CONV[axes], _NORM[axes]
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            norm(outputs),
            nn.ReLU(),
            conv(outputs, outputs, 3, padding=1, bias=False),
            norm(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride=stride, bias=False), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, …) → (batch, outputs, …)."""
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    """Stem, stages of residual blocks (each stage after the first halves every side), mean over space, linear."""

    def __init__(self, inputs: int, sizes: Sequence[int], channels: Sequence[int], depth: int, outputs: int) -> None:
        super().__init__()
        axes = len(sizes)
        self.stem = nn.Sequential(
            Shaped(inputs, *sizes),
            _CONV[axes](inputs, channels[0], 3, padding=1, bias=False),
            _NORM[axes](channels[0]),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        width = channels[0]
        for stage, after in enumerate(channels):
            for number in range(depth):
                blocks.append(Residual(axes, width, after, 2 if stage and not number else 1))
                width = after
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, …) → (batch, outputs)."""
        out: Tensor = self.head(self.blocks(self.stem(x)).flatten(2).mean(-1))
        return out


class Rows(nn.Module):
    """Samples (channels, steps, …) as sequences: at each step all channels and what follows, flattened."""

    def __init__(self, channels: int, steps: int, features: int) -> None:
        super().__init__()
        self.split, self.sequence = (channels, steps, features // channels), (steps, features)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, steps, …) → (batch, steps, features)."""
        return x.reshape(-1, *self.split).transpose(1, 2).reshape(-1, *self.sequence)


class Recurrent(nn.Module):
    """A GRU over a sequence; the outputs come from the last step, or from every step where `every` is set."""

    def __init__(
        self, encoder: nn.Module, inputs: int, width: int, depth: int, outputs: int, *, every: bool, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.gru = nn.GRU(inputs, width, depth, batch_first=True, dropout=dropout if depth > 1 else 0.0)
        self.head = nn.Linear(width, outputs)
        self.every = every

    def forward(self, x: Tensor) -> Tensor:
        """(batch, …) → (batch, outputs), or (batch, steps, outputs) where `every` is set."""
        states, _ = self.gru(self.encoder(x))
        out: Tensor = self.head(states if self.every else states[:, -1])
        return out


class CausalAttention(nn.Module):
    """Multi-head self-attention in which a position sees itself and those before it: softmax(Q·Kᵀ/√d + mask)·V.

    Torch chooses a fused kernel where it has one. Those go through vmap one sample at a time, so whoever stacks this
    asks torch for the plain products (see `math_attention` in engine/stacking.py).
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps, width) → the same."""
        batch, steps, width = x.shape
        q, k, v = self.project(x).view(batch, steps, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        dropped = self.dropout.p if self.dropout.training else 0.0
        seen = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropped, is_causal=True)
        out: Tensor = self.merge(seen.transpose(1, 2).reshape(batch, steps, width))
        return out


class TransformerBlock(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + mlp(norm(x)) with four times the width inside."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), CausalAttention(width, heads, dropout), nn.Dropout(dropout))
        self.think = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps, width) → the same."""
        x = x + self.attend(x)
        out: Tensor = x + self.think(x)
        return out


class Transformer(nn.Module):
    """A decoder-only language model: token and learned position embeddings, blocks, norm, linear.

    Embeddings start small (σ = 0.02), so the first predictions are close to uniform.
    """

    def __init__(self, vocabulary: int, context: int, width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)
        for table in (self.token, self.position):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, steps) → logits of the next token (batch, steps, vocabulary)."""
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        out: Tensor = self.head(self.norm(self.blocks(x)))
        return out
