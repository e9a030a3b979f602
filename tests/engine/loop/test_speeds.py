"""The speed of one trial by itself."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from lrtool.engine.cost.amount import Amount
from lrtool.engine.loop.speeds import LoopSpeed, loop_speed
from lrtool.engine.trials import Recipe
from lrtool.optimizers import KINDS
from lrtool.tasks.base import Metric, Task
from tests.engine.contract import small_task, trial

RECIPE = Recipe(KINDS["sgd"](lr=0.1))


class Slow:
    """A metric that takes its time."""

    def __call__(self, output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        time.sleep(0.01)
        return output.argmax(-1) == truth


def slow_to_validate() -> Task:
    return replace(small_task(), metrics={"slow": Metric("slow", Slow())})


def test_validation_and_updates_are_timed() -> None:
    # 21 samples in batches of 16: two calls of the metric.
    speed = loop_speed(slow_to_validate(), trial(0, 20, 0.1), RECIPE)
    assert 0.02 <= speed.validation < 0.5 and 0 < speed.update < 0.02
    assert loop_speed(small_task(val=False), trial(0, 20, 0.1), RECIPE).validation == 0.0


def test_a_trial_takes_what_its_parts_take() -> None:
    assert LoopSpeed(0.5, 2.0, 3.0).trial(Amount(7, 10, 2)) == pytest.approx(3.0 + 5.0 + 4.0)


@pytest.mark.parametrize("junk", [None, 3, {}, {"update": "x"}, {"update": 0.0, "validation": 1.0, "begin": 1.0}])
def test_what_is_remembered_wrongly_is_measured_again(junk: object) -> None:
    assert LoopSpeed.parse(junk) is None
    assert LoopSpeed.parse(vars(LoopSpeed(1e-3, 0.0, 0.1))) == LoopSpeed(1e-3, 0.0, 0.1)


class SlowAfterwards:
    """A metric that makes the update after it slow, as one that leaves nothing in the caches does."""

    def __init__(self) -> None:
        self.called = False

    def __call__(self, output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        self.called = True
        return output.argmax(-1) == truth


def test_what_a_validation_does_to_the_update_after_it_counts_as_its_own() -> None:
    metric = SlowAfterwards()

    class Model(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training and metric.called:
                metric.called = False
                time.sleep(0.02)
            return super().forward(x)

    task = small_task()
    shape = next(task.new_model().parameters()).shape[1]
    slow = replace(task, metrics={"slow": Metric("slow", metric)}, new_model=lambda: Model(shape, 3))
    assert loop_speed(slow, trial(0, 64, 0.1), RECIPE).validation >= 0.02
    # One that is too short for a second validation has none to show it by.
    assert loop_speed(slow, trial(0, 20, 0.1), RECIPE).validation < 0.02
