"""Attention of the shipped transformer: fused or taken apart, alone or stacked, it is the written-out formula."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from lrtool.engine.device import math_attention
from lrtool.tasks import models
from lrtool.tasks.base import BuildContext, DataShape
from lrtool.tasks.blocks import Network
from lrtool.tasks.models.transformer import causal_attention

#: Batch, steps, heads, width of a head.
SHAPES = [(2, 1, 1, 1), (3, 7, 2, 4), (2, 64, 4, 16), (1, 130, 3, 5), (4, 33, 1, 8)]
#: Largest difference allowed, in parts of the largest value.
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-13}


def written_out(layer: Network, x: Tensor) -> Tensor:
    """softmax(Q·Kᵀ/√d + mask)·V, line by line."""
    batch, steps, width = x.shape
    size = width // layer.heads
    q, k, v = layer.project(x).view(batch, steps, 3, layer.heads, size).permute(2, 0, 3, 1, 4)
    later = torch.ones(steps, steps, dtype=torch.bool).triu(1)
    weights = (q @ k.transpose(-2, -1) / math.sqrt(size)).masked_fill(later, -math.inf).softmax(-1)
    return layer.merge((layer.dropout(weights) @ v).transpose(1, 2).reshape(batch, steps, width))


def layer_and_input(shape: tuple[int, ...], dtype: torch.dtype, dropout: float = 0.0) -> tuple[Network, Tensor]:
    batch, steps, heads, size = shape
    torch.manual_seed(3)
    layer = causal_attention(heads * size, heads, dropout).to(dtype)
    return layer, torch.randn(batch, steps, heads * size, dtype=dtype, requires_grad=True)


def outcome(forward: Callable[[Tensor], Tensor], layer: Network, x: Tensor) -> list[Tensor]:
    """The output and the gradients of a loss that treats every output differently."""
    torch.manual_seed(5)
    output = forward(x)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape)
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), [x, *layer.parameters()])]


def assert_near(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    # Against the largest gradient of all: that of the keys' bias is 0, but for rounding.
    scale = max(1.0, *(float(tensor.abs().max()) for tensor in expected))
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max()) <= tolerance * scale


@pytest.mark.parametrize("taken_apart", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_formula(shape: tuple[int, ...], dtype: torch.dtype, taken_apart: bool) -> None:
    layer, x = layer_and_input(shape, dtype)
    with math_attention() if taken_apart else nullcontext():
        found = outcome(layer, layer, x)
    assert_near(found, outcome(lambda x: written_out(layer, x), layer, x), TOLERANCE[dtype])


@pytest.mark.parametrize("shape", SHAPES)
def test_dropout_drops_the_same_weights(shape: tuple[int, ...]) -> None:
    layer, x = layer_and_input(shape, torch.float64, dropout=0.3)
    assert_near(outcome(layer, layer, x), outcome(lambda x: written_out(layer, x), layer, x), 1e-13)
    layer.eval()
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_stacked_it_is_the_formula_for_each(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    layer, x = layer_and_input(shape, dtype)
    stacked = {name: torch.stack([p.detach(), -p.detach(), p.detach() / 2]) for name, p in layer.named_parameters()}

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, parameters, (x,)).square().sum()

    with math_attention():
        found = vmap(grad(loss), in_dims=(0, None))(stacked, x.detach())
    for number in range(3):
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                parameter.copy_(stacked[name][number])
        expected = torch.autograd.grad(written_out(layer, x).square().sum(), list(layer.parameters()))
        assert_near([found[name][number] for name in found], list(expected), 10 * TOLERANCE[dtype])


class Seen(TorchDispatchMode):
    """The names of all operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_one_model_has_a_fused_kernel_and_a_stack_has_none() -> None:
    model = models.KINDS["transformer"]().build(DataShape((12,), 20, "token", 20), BuildContext())
    tokens = torch.randint(20, (4, 12))
    with Seen() as alone:
        model(tokens)
    assert any("scaled_dot_product" in name for name in alone.names)
    assert not any("softmax" in name for name in alone.names)
    with math_attention(), Seen() as stacked:
        vmap(lambda tokens: functional_call(model, dict(model.named_parameters()), (tokens,)))(tokens[None])
    assert not any("scaled_dot_product" in name for name in stacked.names)
