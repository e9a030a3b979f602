"""The state of a stack: loaded, shortened, flattened, and untouched by what is not its own."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from lrtool.engine.trials import Recipe
from lrtool.engine.vector.draws import key_of
from lrtool.engine.vector.stack import Stack, Stateless
from lrtool.optimizers import KINDS
from lrtool.tasks.base import seeded_model
from tests.engine.contract import CLASSES, FEATURES, small_task

RECIPE = Recipe(KINDS["adam"](lr=0.1))


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 4), nn.BatchNorm1d(4), nn.Linear(4, CLASSES).requires_grad_(False))


TASK = replace(small_task(), new_model=normed)


def loaded(*seeds: int) -> Stack:
    stack = Stack(seeded_model(TASK, 99), RECIPE, len(seeds))
    for slot, seed in enumerate(seeds):
        stack.load(slot, seeded_model(TASK, seed), seed)
    return stack


def test_each_slot_has_its_models_tensors_and_key() -> None:
    stack = loaded(3, 4)
    assert stack.parameters.keys() == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert "2.weight" in stack.buffers, "what is frozen is no parameter of the stack"
    for slot, seed in enumerate((3, 4)):
        model = seeded_model(TASK, seed)
        for name, tensor in {**dict(model.named_parameters()), **dict(model.named_buffers())}.items():
            held = stack.parameters.get(name, stack.buffers.get(name))
            assert held is not None and torch.equal(held[slot], tensor)
        assert stack.keys[slot] == key_of(seed)


def test_a_slot_that_is_used_again_is_as_new_and_its_neighbours_stay() -> None:
    stack = loaded(3, 4)
    for tensor in stack.state.tensors():
        tensor.add_(1)
    kept = [tensor[0].clone() for tensor in stack.state.tensors()]
    stack.load(1, seeded_model(TASK, 5), 5)
    fresh = loaded(3, 5)
    for now, before, new in zip(stack.state.tensors(), kept, fresh.state.tensors(), strict=True):
        assert torch.equal(now[0], before) and torch.equal(now[1], new[1])


def test_slots_can_be_dropped() -> None:
    stack, expected = loaded(3, 4, 5), loaded(5, 3)
    stack.keep([2, 0])
    assert stack.size == 2
    assert all(torch.equal(a, b) for a, b in zip(stack.state.tensors(), expected.state.tensors(), strict=True))


def test_a_state_is_a_list_of_tensors_and_back() -> None:
    state = loaded(3, 4).state
    again = state.of([tensor + 0 for tensor in state.tensors()])
    assert again.parameters.keys() == state.parameters.keys() and again.optimizer.keys() == state.optimizer.keys()
    for name, held in state.optimizer.items():
        assert all(torch.equal(again.optimizer[name][key], tensor) for key, tensor in held.items())
    assert torch.equal(again.keys, state.keys) and torch.equal(again.steps, state.steps)


def test_double_precision_is_for_double_parameters() -> None:
    assert loaded(3).hyperparameter_type == torch.float32
    double = Stack(seeded_model(small_task(torch.float64), 0), RECIPE, 1)
    assert double.hyperparameter_type == torch.float64


def test_a_stateless_model_uses_the_tensors_that_it_is_given() -> None:
    skeleton = nn.Linear(2, 1)
    before = skeleton.weight.clone()
    model = Stateless(skeleton, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)})
    assert model(torch.tensor([[1.0, 2.0]])).item() == 3.0
    assert torch.equal(skeleton.weight, before) and not list(model.parameters())
