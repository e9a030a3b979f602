"""Amounts of training."""

from __future__ import annotations

from lrtool.engine.cost.amount import Amount, validations
from lrtool.engine.trials import Recipe
from lrtool.optimizers import KINDS
from tests.engine.contract import small_task, trial


def test_a_trial_is_validated_as_often_as_it_says_and_at_its_end() -> None:
    task = small_task()
    assert [validations(task, 10, every) for every in (0, 3, 5, 10, 20)] == [1, 4, 2, 1, 1]
    assert validations(small_task(val=False), 10, 3) == 0


def test_trials_of_different_lengths_count_by_their_mean() -> None:
    recipe = Recipe(KINDS["sgd"](lr=0.1), eval_every=4)
    assert Amount.of(small_task(), [trial(0, 10, 0.1), trial(1, 20, 0.1)], recipe) == Amount(2, 15.0, 4)
    assert Amount.of(small_task(), [], recipe).trials == 0
