"""The model whose code trains a stack."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from lrtool.engine.vector.skeleton import shapes, shortened, skeleton_of, without_dropout
from lrtool.errors import TaskError
from tests.engine.contract import CLASSES, FEATURES, small_task

CPU = torch.device("cpu")


class Lazy(nn.Module):
    """Makes a table in its first pass, and another one in validation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.made = nn.Linear(FEATURES, CLASSES), []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.made.append((self.training, len(x)))
        return self.layer(x)


def test_every_kind_of_first_pass_is_made_outside_the_stack() -> None:
    task, before = replace(small_task(), new_model=Lazy), torch.get_rng_state()
    model = skeleton_of(task, CPU)
    assert isinstance(model, Lazy) and model.training
    assert model.made == [(True, 8), (False, 16), (False, 5)], "21 samples are validated in 16 and 5"
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("size", "lengths"), [(21, [16, 5]), (32, [16]), (16, [16]), (5, [5])])
def test_one_batch_of_each_size(size: int, lengths: list[int]) -> None:
    found = shapes(size, 16, CPU)
    assert [len(each) for each in found] == lengths and found[-1][-1] < size


def test_a_shortened_task_has_as_much_validation_data_as_has_a_batch_of_each_size() -> None:
    task = small_task()
    assert task.val is not None
    longer = replace(task, val=type(task.val)((task.val.inputs[0].repeat(5, 1),), task.val.target.repeat(5)))
    short = shortened(longer, CPU)
    assert short.val is not None and len(short.val) == 16 + 105 % 16
    assert shortened(small_task(val=False), CPU).val is None


def test_dropout_is_turned_off_wherever_torch_has_it() -> None:
    layers = [nn.Dropout(0.5), nn.GRU(2, 2, 2, dropout=0.5), nn.MultiheadAttention(2, 1, dropout=0.5)]
    model = without_dropout(nn.ModuleList(layers))
    assert model[0].p == 0.0 and model[1].dropout == model[2].dropout == 0.0


def test_a_model_that_cannot_be_built_is_the_tasks_failure() -> None:
    def broken() -> nn.Module:
        raise RuntimeError("no weights")

    with pytest.raises(TaskError, match="building the model"):
        skeleton_of(replace(small_task(), new_model=broken), CPU)
