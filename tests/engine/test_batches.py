"""Batches by number, an epoch at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lrtool.engine.batches import Batches
from lrtool.tasks.sources import BatchOrder
from tests.engine.contract import BATCH, small_task

CPU = torch.device("cpu")


@pytest.mark.parametrize("kept", [1, 2, 100])
@pytest.mark.parametrize("asked", [[(0, 5), (5, 20), (25, 1)], [(17, 30), (0, 3), (17, 30), (60, 2)]])
def test_any_range_is_that_of_the_order(kept: int, asked: list[tuple[int, int]]) -> None:
    task = small_task()
    order = BatchOrder(3, len(task.train), BATCH)
    every = np.concatenate([order.epoch(epoch) for epoch in range(1 + 100 // order.per_epoch)])
    batches = Batches(task, 3, CPU, kept)
    for first, count in asked:
        assert np.array_equal(batches.range(first, count), every[first : first + count])
        assert np.array_equal(batches(first), every[first])


def test_epochs_that_are_kept_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task, drawn = small_task(), []
    order_of = BatchOrder.order

    def counted(order: BatchOrder, epoch: int) -> object:
        drawn.append(epoch)
        return order_of(order, epoch)

    monkeypatch.setattr(BatchOrder, "order", counted)
    batches = Batches(task, 0, CPU, kept=2)
    per_epoch = len(task.train) // BATCH
    for epoch in (0, 1, 0, 1, 2, 1, 2, 0):
        batches(epoch * per_epoch)
    assert drawn == [0, 1, 2, 0]
