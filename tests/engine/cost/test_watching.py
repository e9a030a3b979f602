"""What watching for divergence takes."""

from __future__ import annotations

from dataclasses import replace

from lrtool.engine.cost.watching import watching
from lrtool.engine.trials import Recipe
from lrtool.optimizers import KINDS


def test_watching_a_trial_takes_longer_than_keeping_its_losses() -> None:
    recipe = Recipe(KINDS["sgd"](lr=0.1))
    assert 0 <= watching(replace(recipe, stop_on_divergence=False)) < watching(recipe) < 1e-3
