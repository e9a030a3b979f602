from __future__ import annotations

import torch
from torch import nn

from lrtool.engine.loop.trouble.faults import finite, first_fault, first_weight


class Broken(nn.Module):
    """A chain of three, whose middle gives what is not finite, in one direction or the other."""

    def __init__(self, forward: bool) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1)
        if forward:
            self.middle.weight.data *= 1e38
            self.first.weight.data *= 1e38
        self.breaks = not forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        if self.breaks:
            h.register_hook(lambda g: g * torch.nan)
        return self.last(self.middle(h))


def update(model: nn.Module) -> None:
    model(torch.ones(1, 2)).sum().backward()


def test_the_first_layer_is_named() -> None:
    model = Broken(forward=True)
    assert first_fault(model, lambda: update(model), 1) == "the output of middle (Linear)"


def test_gradients_are_named_where_outputs_are_finite() -> None:
    model = Broken(forward=False)
    assert first_fault(model, lambda: update(model), 1).startswith("the gradient of first.")


def test_hooks_are_taken_off_again() -> None:
    model = Broken(forward=True)
    first_fault(model, lambda: update(model), 1)
    assert all(not module._forward_hooks for module in model.modules())


def test_nothing_is_said_where_all_is_finite() -> None:
    model = nn.Linear(2, 1)
    assert finite(model) and first_weight(model) == ""
    assert first_fault(model, lambda: update(model), 3) == ""
    model.bias.data.fill_(torch.inf)
    assert not finite(model) and first_weight(model) == "bias"
