"""How much work a forward pass is."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from lrtool.engine.cost.work import Witness, work_of
from lrtool.tasks.base import seeded_model
from tests.engine.contract import BATCH, CLASSES, FEATURES, small_task

CPU = torch.device("cpu")


def test_a_linear_layer_takes_two_operations_for_each_weight_and_sample() -> None:
    task = replace(small_task(), new_model=lambda: nn.Linear(FEATURES, CLASSES))
    work = work_of(task, seeded_model(task, 0), CPU)
    assert work.flops == 2 * BATCH * FEATURES * CLASSES
    assert work.parameters == 4 * CLASSES * (FEATURES + 1)
    assert not work.random and work.operators > 0
    assert work.bytes >= 4 * BATCH * CLASSES
    assert work.held > work.parameters + work.bytes


def test_dropout_is_seen_to_draw_and_changes_nothing() -> None:
    task, before = small_task(dropout=0.5), torch.get_rng_state()
    assert work_of(task, seeded_model(task, 0), CPU).random
    assert not work_of(small_task(), seeded_model(small_task(), 0), CPU).random
    assert torch.equal(torch.get_rng_state(), before)


def test_running_statistics_are_those_from_before() -> None:
    task = replace(
        small_task(), new_model=lambda: nn.Sequential(nn.BatchNorm1d(FEATURES), nn.Linear(FEATURES, CLASSES))
    )
    model = seeded_model(task, 0)
    work_of(task, model, CPU)
    assert model[0].num_batches_tracked == 0


def test_a_generator_of_ones_own_is_told_from_torchs() -> None:
    with Witness() as seen:
        torch.rand(2)
    assert seen.random and not seen.own_generator
    with Witness() as seen:
        torch.rand(2, generator=torch.Generator())
    assert seen.random and seen.own_generator


def test_views_write_nothing_and_lists_of_tensors_are_counted() -> None:
    x = torch.ones(6, 4)
    with Witness() as seen:
        x.view(24)
    assert seen.bytes == 0
    with Witness() as seen:
        x.max(dim=0)  # values and indices
    assert seen.bytes == 4 * 4 + 4 * 8
