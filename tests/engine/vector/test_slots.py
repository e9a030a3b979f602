"""A slot of a stack: when a trial in it is to be validated, and which samples it trains on."""

from __future__ import annotations

import numpy as np
import torch

from lrtool.engine.batches import Batches
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.slots import Slot
from lrtool.optimizers import KINDS
from lrtool.status import Status
from tests.engine.contract import BATCH, flat, small_task, trial

CPU = torch.device("cpu")


def slot(steps: int = 10, accumulate: int = 1) -> Slot:
    recipe = Recipe(KINDS["sgd"](lr=0.1, momentum=0.5), accumulate=accumulate)
    return Slot(0, trial(3, steps, 0.1, momentum=flat(0.9, steps)), Batches(small_task(), 3, CPU), recipe)


def test_it_is_validated_every_so_often_and_at_the_end() -> None:
    one, due, left = slot(), [], []
    for one.step in range(1, 11):
        due.append(one.due(4))
        left.append(one.until_due(4))
    assert [step for step, is_due in enumerate(due, 1) if is_due] == [4, 8, 10]
    assert left == [3, 2, 1, 4, 3, 2, 1, 2, 1, 0]


def test_without_an_interval_only_at_the_end_and_never_once_diverged() -> None:
    one = slot()
    one.step = 5
    assert not one.due(0) and one.until_due(0) == 5
    one.step = 10
    assert one.due(0)
    one.trace.status = Status.DIVERGED
    assert not one.due(0) and not one.due(5)


def test_curves_go_before_fixed_hyperparameters() -> None:
    one = slot()
    assert one.curves.keys() == {"lr", "momentum"} and np.all(one.tables["momentum"] == 0.9)
    assert one.tables["weight_decay"].shape == (10,), "what no curve moves stands still"


def test_rows_go_on_where_the_trial_is() -> None:
    one = slot(accumulate=2)
    every = Batches(small_task(), 3, CPU).range(0, 12)
    assert torch.equal(one.rows(2), every[:4].view(2, 2, BATCH))
    one.step = 3
    assert torch.equal(one.rows(3), every[6:12].view(3, 2, BATCH))
