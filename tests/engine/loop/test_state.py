"""The state of models and optimizers, out and back in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lrtool.engine.loop.state import load_model_state, load_optimizer_state, model_state, optimizer_state, weights
from lrtool.errors import TaskError, UsageError


class Hidden(nn.Module):
    """A buffer that is left out of `state_dict`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1), persistent=False)


def test_buffers_outside_state_dict_are_kept_too() -> None:
    model, other = Hidden(), Hidden()
    model.seen.fill_(3)
    assert not weights(model) and model_state(model).keys() == {"seen"}
    load_model_state(other, model_state(model), "here")
    assert other.seen.item() == 3


def test_what_is_kept_is_a_copy() -> None:
    model = nn.Linear(2, 2)
    kept = model_state(model)
    with torch.no_grad():
        model.weight.add_(1)
    assert not torch.equal(kept["weight"], model.weight)


class Extra(nn.Module):
    """State that is no tensor."""

    def get_extra_state(self) -> Any:
        return {"count": 3}


def test_state_that_no_checkpoint_can_hold_is_named() -> None:
    with pytest.raises(TaskError, match="_extra_state"):
        model_state(Extra())


@pytest.mark.parametrize("other", [nn.Linear(2, 3), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, dtype=torch.float64)])
def test_another_models_state_is_refused(other: nn.Module) -> None:
    with pytest.raises(UsageError, match="belongs to another model"):
        load_model_state(other, model_state(nn.Linear(2, 2)), "here")


def stepped(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def test_an_optimizer_goes_on_where_it_was() -> None:
    torch.manual_seed(0)
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    first, second = (torch.optim.Adam(each.parameters(), 0.1, betas=(0.8, 0.9)) for each in (model, other))
    stepped(first, model)
    load_model_state(other, model_state(model), "here")
    load_optimizer_state(second, *optimizer_state(first), "here")
    for optimizer, each in ((first, model), (second, other)):
        each.zero_grad()
        stepped(optimizer, each)
    assert torch.equal(model.weight, other.weight) and second.param_groups[0]["betas"] == (0.8, 0.9)


def test_another_optimizers_state_is_refused() -> None:
    model = nn.Linear(2, 2)
    first, second = torch.optim.Adam(model.parameters(), 0.1), torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(UsageError, match="Adam"):
        load_optimizer_state(second, *optimizer_state(first), "here")
