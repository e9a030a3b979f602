"""One trial in training, between two updates; whole trainings are in the loop engine's tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe
from lrtool.errors import TaskError
from lrtool.optimizers import KINDS
from lrtool.status import Status
from tests.engine.contract import small_task, trial

RECIPE = Recipe(KINDS["sgd"](lr=0.1), eval_every=4)


def test_a_chunk_ends_where_there_is_something_to_do() -> None:
    training = Training(small_task(), trial(0, 10, 0.1), RECIPE)
    ends = []
    while training.step < 10:
        assert training.advance(stop_every=3)
        ends.append(training.step)
        training.evaluate_if_due()
    assert {3, 4, 6, 8, 9, 10} <= set(ends), "evaluations every 4, stops every 3, and the end"
    assert [each.step for each in training.trace.evaluations] == [4, 8, 10]
    assert np.isfinite(training.trace.train_loss).all() and training.trace.steps == 10


def test_the_best_weights_are_those_of_the_lowest_loss() -> None:
    training = Training(small_task(), trial(0, 12, 0.3), RECIPE, keep_best=True)
    while training.step < 12:
        training.advance()
        training.evaluate_if_due()
    lowest = min(training.trace.evaluations, key=lambda each: each.values["val_loss"])
    assert training.best is not None
    assert (training.best.step, training.best.value) == (lowest.step, lowest.values["val_loss"])


def test_a_trial_that_is_given_up_keeps_what_it_has() -> None:
    training = Training(small_task(), trial(0, 8, 0.1), RECIPE)
    while training.step < 2:
        training.advance(stop_every=2)
    training.give_up(Status.FAILED, "no memory")
    assert (training.trace.status, training.trace.reason, training.trace.steps) == (Status.FAILED, "no memory", 2)


def test_a_loss_that_no_parameter_has_a_part_in_is_refused() -> None:
    class Detached(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).detach()

    task = replace(small_task(), new_model=lambda: Detached(6, 3))
    with pytest.raises(TaskError, match="does not depend on the model's parameters"):
        Training(task, trial(0, 8, 0.1), RECIPE).advance()
