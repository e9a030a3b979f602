"""Validation: means over samples, with nothing of the training state disturbed."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import torch
from torch import nn

from lrtool.engine.evaluate import evaluate
from lrtool.errors import TaskError
from lrtool.tasks.base import Metric, seeded_model
from lrtool.tasks.sources import TensorSource
from tests.engine.contract import BATCH, small_task

CPU = torch.device("cpu")


def test_means_are_over_samples_and_not_over_batches() -> None:
    task = small_task()
    model = seeded_model(task, 0)
    assert isinstance(task.val, TensorSource) and len(task.val) % (2 * BATCH), "the last batch is smaller"
    found = evaluate(task, model, task.val, CPU, contextlib.nullcontext)
    with torch.no_grad():
        output = model(task.val.inputs[0])
    assert found["val_loss"] == pytest.approx(nn.functional.cross_entropy(output, task.val.target).item(), rel=1e-6)
    assert found["val_accuracy"] == pytest.approx((output.argmax(-1) == task.val.target).double().mean().item())


def test_neither_mode_nor_random_state_nor_statistics_change() -> None:
    task = replace(small_task(), new_model=lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)))
    model, state = seeded_model(task, 0), torch.get_rng_state()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert task.val is not None
    assert evaluate(task, model, task.val, CPU, contextlib.nullcontext) == evaluate(
        task, model, task.val, CPU, contextlib.nullcontext
    ), "dropout is off"
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())


def test_a_metric_that_fails_is_named_and_the_model_trains_on() -> None:
    def broken(output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        raise ValueError("no such column")

    task = replace(small_task(), metrics={"f1": Metric("f1", broken)})
    model = seeded_model(task, 0)
    assert task.val is not None
    with pytest.raises(TaskError, match="no such column") as raised:
        evaluate(task, model, task.val, CPU, contextlib.nullcontext)
    assert "f1" in str(raised.value) and model.training
