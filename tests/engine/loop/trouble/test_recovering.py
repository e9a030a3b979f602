import numpy as np
import pytest

from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.trouble.recovering import GoodState
from lrtool.engine.trials import Recipe
from lrtool.optimizers import KINDS

RECIPE = Recipe(KINDS["sgd"](lr=0.1), eval_every=4, recoveries=5)


def looked(losses, every=12):
    """After which updates a state is good."""
    state = GoodState(RECIPE, 1000)
    assert state.every == every
    return [end for end in range(every, len(losses) + 1, every) if state.is_good(losses[:end])]


def noisy(level, seed=0):
    return np.asarray(level) + 0.02 * np.random.default_rng(seed).standard_normal(len(level))


def test_a_loss_that_falls_is_good_everywhere():
    assert looked(noisy(np.geomspace(2, 0.5, 120))) == [*range(12, 121, 12)]


def test_a_loss_that_stands_still_is_good():
    assert len(looked(noisy(np.ones(1200)))) > 90


def test_a_loss_that_rose_is_not():
    level = np.concatenate([np.geomspace(2, 0.5, 60), np.full(60, 2.5)])
    assert looked(noisy(level)) == [12, 24, 36, 48, 60]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_that_is_no_number_is_not(value):
    level = np.ones(36)
    level[30] = value
    assert looked(level) == [12, 24]


def test_it_is_read_back_from_a_checkpoint():
    state = GoodState(RECIPE, 1000)
    state.state = Checkpoint(12, {}, {"some": 1}, {"train_loss": np.ones(12)})
    assert state.after(15, 0.1, "it broke").factor == 0.5
    assert state.after(16, 0.05, "again").factor == 0.25
    held = Checkpoint(20, state.tensors(), {"recovering": state.details()}, {"train_loss": np.ones(20)})
    again = GoodState(RECIPE, 1000)
    again.restore(held)
    assert again.done == state.done and again.factor == 0.25
    assert again.state is not None and again.state.step == 12 and len(again.state.trace["train_loss"]) == 12
