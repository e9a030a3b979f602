"""Speeds of trials by themselves and in stacks: what is timed, remembered and derived."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from lrtool.engine.trials import Recipe
from lrtool.engine.vector.plan import StackPlanner
from lrtool.engine.vector.speeds import Amount, LoopSpeed, StackSpeed, loop_speed, stack_speed, validations
from lrtool.optimizers import KINDS
from lrtool.tasks.base import Metric, Task
from tests.engine.contract import small_task, trial

pytestmark = pytest.mark.usefixtures("own_cache")

RECIPE = Recipe(KINDS["sgd"](lr=0.1))


def stack(update: float, validation: float) -> StackSpeed:
    """A stack that takes so long whatever its size."""
    return StackSpeed({2: update, 512: update}, {2: validation, 512: validation}, 0.0, 1)


def test_a_trial_is_validated_as_often_as_it_says_and_at_its_end() -> None:
    task = small_task()
    assert [validations(task, 10, every) for every in (0, 3, 5, 10, 20)] == [1, 4, 2, 1, 1]
    assert validations(small_task(val=False), 10, 3) == 0


class Slow:
    """A metric that takes its time."""

    def __call__(self, output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        time.sleep(0.01)
        return output.argmax(-1) == truth


def slow_to_validate() -> Task:
    return replace(small_task(), metrics={"slow": Metric("slow", Slow())})


def test_validation_is_timed_for_both_engines() -> None:
    task = slow_to_validate()
    # 21 samples in batches of 16: two calls of the metric.
    assert 0.02 <= loop_speed(task, trial(0, 20, 0.1), RECIPE).validation < 0.5
    planner = StackPlanner(task, [trial(0, 20, 0.1)], RECIPE)
    measured = stack_speed(task, RECIPE, planner.costs.update, 8, float("inf"))
    assert all(0.02 <= seconds < 0.5 for seconds in measured.validations.values())
    without = stack_speed(small_task(val=False), RECIPE, planner.costs.update, 8, float("inf"))
    assert not without.validations and without.validation(8) == 0


def test_a_stack_without_hope_is_not_measured_further() -> None:
    planner = StackPlanner(small_task(), [trial(0, 20, 0.1)], RECIPE)
    assert max(stack_speed(small_task(), RECIPE, planner.costs.update, 512, -1.0).updates) == 8


@pytest.mark.parametrize(("updates", "size"), [({2: 1.0, 8: 1.0, 32: 8.0}, 8), ({2: 1.0, 8: 4.0}, 2)])
def test_the_size_of_a_stack_is_the_one_that_ends_soonest(updates: dict[int, float], size: int) -> None:
    assert StackSpeed(updates, {}, 0.0, 1).best_size(Amount(16, 100, 0), 64) == size


@pytest.mark.parametrize("junk", [None, 3, {}, {"update": "x"}, {"updates": {"a": 1}}, {"updates": {}}])
def test_what_is_remembered_wrongly_is_measured_again(junk: object) -> None:
    assert LoopSpeed.parse(junk) is None and StackSpeed.parse(junk) is None
    for good in (LoopSpeed(1e-3, 0.0, 0.1),):
        assert LoopSpeed.parse(vars(good)) == good
    assert StackSpeed.parse(stack(1.0, 2.0).document()) == stack(1.0, 2.0)
