"""Validation of a stack, against that of each model alone."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import torch
from torch import nn

from lrtool.engine.evaluate import evaluate
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.draws import key_of
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import batch_keys
from lrtool.engine.vector.validation import Validation, validation_keys
from lrtool.optimizers import KINDS
from lrtool.tasks.base import seeded_model
from tests.engine.contract import CLASSES, FEATURES, small_task

CPU = torch.device("cpu")


def test_each_model_has_the_values_that_it_has_alone() -> None:
    layers = lambda: nn.Sequential(nn.Linear(FEATURES, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, CLASSES))  # noqa: E731
    task = replace(small_task(), new_model=layers)
    skeleton = seeded_model(task, 9)
    stack = Stack(skeleton, Recipe(KINDS["sgd"](lr=0.1)), 3)
    for slot in range(3):
        stack.load(slot, seeded_model(task, slot), slot)
    found = Validation(task, skeleton, random=True)(stack)
    assert skeleton.training and task.val is not None
    for slot, values in enumerate(found):
        assert values == pytest.approx(evaluate(task, seeded_model(task, slot), task.val, CPU, contextlib.nullcontext))


def test_a_validation_draws_from_another_stream_than_any_update() -> None:
    keys, steps = torch.tensor([key_of(seed) for seed in range(3)], dtype=torch.int32), torch.zeros(3)
    validated = [validation_keys(keys, steps, number) for number in range(4)]
    trained = [batch_keys(keys, torch.full((3,), float(step)), 1, 0) for step in range(8)]
    found = torch.cat([*validated, *trained])
    assert len(torch.unique(found)) == len(found)


def test_where_memory_runs_out_one_half_is_validated_after_the_other(monkeypatch) -> None:
    task = small_task()
    skeleton = seeded_model(task, 9)
    stack = Stack(skeleton, Recipe(KINDS["sgd"](lr=0.1)), 5)
    for slot in range(5):
        stack.load(slot, seeded_model(task, slot), slot)
    whole = Validation(task, skeleton, random=False)(stack)
    values = Validation._values

    def limited(self, some, batch):
        if some.size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return values(self, some, batch)

    monkeypatch.setattr(Validation, "_values", limited)
    halves = Validation(task, skeleton, random=False)(stack)
    assert [pytest.approx(each) for each in whole] == halves
