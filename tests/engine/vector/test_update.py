"""One update of a stack, against torch's own optimizers on each model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lrtool.engine.trials import Recipe
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import Update, batch_keys, first_rows, gathered, trial_update
from lrtool.optimizers import KINDS
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.sources import TensorSource
from tests.engine.contract import BATCH, LR, OPTIMIZERS, SAMPLES, small_task

SEEDS, LRS = (3, 4, 5), (0.1, 0.02, 0.5)


def updated(task: Task, recipe: Recipe, rows: Tensor) -> tuple[Stack, Tensor, Tensor]:
    """A stack after one update with these rows, (accumulate, size, batch); losses and gradient norms."""
    skeleton = seeded_model(task, 99)
    stack, update = Stack(skeleton, recipe, len(SEEDS)), Update(task, recipe, skeleton, random=False)
    for slot, seed in enumerate(SEEDS):
        stack.load(slot, seeded_model(task, seed), seed)
    values = {"lr": torch.tensor(LRS)}
    for name in recipe.per_update:
        if name != "lr":
            values[name] = torch.full((len(SEEDS),), float(recipe.optimizer.hyperparameters()[name]))
    assert isinstance(task.train, TensorSource)
    with torch.no_grad():
        stack.state, losses, norms = update(task.train, stack.state, rows, values)
    return stack, losses, norms


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [None, 0.05])
def test_each_model_is_updated_as_torch_would(name: str, clip: float | None) -> None:
    kind, fields, build = OPTIMIZERS[name]
    task, recipe = small_task(), Recipe(KINDS[kind](lr=LR[name], **fields), accumulate=2, clip_norm=clip)
    rows = torch.randint(SAMPLES, (2, len(SEEDS), BATCH), generator=torch.Generator().manual_seed(0))
    stack, losses, norms = updated(task, replace(recipe, record_grad_norm=True), rows)
    assert isinstance(task.train, TensorSource)
    for slot, (seed, lr) in enumerate(zip(SEEDS, LRS, strict=True)):
        model = seeded_model(task, seed)
        optimizer = build(model.parameters(), lr)
        parts = [task.train.take(each[slot]) for each in rows]
        loss = sum(nn.functional.cross_entropy(part.forward(model), part.target) for part in parts) / 2
        loss.backward()
        absolute = sum(p.grad.abs().sum() for p in model.parameters() if p.grad is not None)
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip or float("inf"))
        optimizer.step()
        torch.testing.assert_close(losses[slot], loss.detach())
        torch.testing.assert_close(norms[:, slot], torch.stack([norm, absolute]))
        for key, parameter in model.named_parameters():
            torch.testing.assert_close(stack.parameters[key][slot], parameter.detach(), rtol=1e-4, atol=1e-6)
    assert stack.steps.tolist() == [1.0] * len(SEEDS)


def test_groups_have_an_lr_and_a_weight_decay_of_their_own() -> None:
    groups = [{"match": "3.*", "lr_scale": 0.0}]
    recipe = Recipe(KINDS["sgd"](lr=0.1, groups=groups))
    stack, *_ = updated(small_task(), recipe, first_rows(small_task(), recipe, len(SEEDS)))
    for slot, seed in enumerate(SEEDS):
        fresh = dict(seeded_model(small_task(), seed).named_parameters())
        assert torch.equal(stack.parameters["3.weight"][slot], fresh["3.weight"])
        assert not torch.equal(stack.parameters["0.weight"][slot], fresh["0.weight"])


def test_rows_are_gathered_for_each_model() -> None:
    source = TensorSource((torch.arange(10.0).reshape(5, 2),), torch.arange(5))
    batch = gathered(source, torch.tensor([[4, 0], [1, 1]]))
    assert batch.target.tolist() == [[4, 0], [1, 1]]
    assert batch.inputs[0].tolist() == [[[8.0, 9.0], [0.0, 1.0]], [[2.0, 3.0], [2.0, 3.0]]]


def test_no_two_batches_draw_from_the_same_stream() -> None:
    keys, found = torch.tensor([7, 8], dtype=torch.int32), set()
    for step in range(20):
        for number in range(3):
            found |= set(batch_keys(keys, torch.full((2,), float(step)), 3, number).tolist())
    assert len(found) == 2 * 20 * 3


def test_an_update_that_is_only_tried_trains_a_scratch_stack() -> None:
    task, recipe = small_task(), Recipe(KINDS["sgd"](lr=0.1))
    skeleton = seeded_model(task, 0)
    before = {name: parameter.clone() for name, parameter in skeleton.named_parameters()}
    trial_update(Update(task, recipe, skeleton, random=False), task, recipe, 2)()
    assert all(torch.equal(before[name], parameter) for name, parameter in skeleton.named_parameters())
