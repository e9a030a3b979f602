"""Settings that cannot be stacked are refused before anything is tried."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.data import TensorDataset

from lrtool.engine.trials import Recipe
from lrtool.engine.vector.obstacles import NotStackableError, obstacle
from lrtool.optimizers import KINDS
from lrtool.schedules.plateau import Plateau
from lrtool.tasks.sources import DatasetSource
from tests.engine.contract import BATCH, FEATURES, small_task

RECIPE = Recipe(KINDS["sgd"](lr=0.1))


def test_plain_settings_are_no_obstacle() -> None:
    assert obstacle(small_task(), RECIPE) is None and obstacle(small_task(val=False), RECIPE) is None


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (replace(RECIPE, precision="bf16"), "bf16"),
        (replace(RECIPE, plateau=Plateau()), "plateau"),
        *((Recipe(spec.model_construct(lr=0.1)), kind) for kind, spec in KINDS.kinds.items() if not spec.stackable),
    ],
)
def test_each_setting_is_named(recipe: Recipe, says: str) -> None:
    assert says in str(obstacle(small_task(), recipe))


def test_data_that_are_read_one_by_one_are_named() -> None:
    rows = TensorDataset(torch.zeros(BATCH, FEATURES), torch.zeros(BATCH, dtype=torch.int64))
    assert "sample by sample" in str(obstacle(replace(small_task(), train=DatasetSource(rows)), RECIPE))


def test_the_error_says_why_and_what_to_do() -> None:
    error = NotStackableError("a plateau follows each trial's own evaluations")
    assert error.why in str(error) and error.remedy == "use the loop engine"
