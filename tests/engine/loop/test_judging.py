"""The best weights so far, and what a plateau goes by."""

from __future__ import annotations

import math

import pytest

from lrtool.engine.loop.judging import Best, improves, plateau_value
from lrtool.engine.trials import Recipe
from lrtool.errors import UsageError
from lrtool.schedules.plateau import Plateau
from tests.engine.contract import PLAIN

BEST = Best(3, 0.5, {})


@pytest.mark.parametrize(
    ("value", "best", "higher", "better"),
    [
        (0.4, BEST, False, True),
        (0.4, BEST, True, False),
        (0.6, BEST, True, True),
        (0.5, BEST, False, False),
        (math.nan, BEST, False, False),
        (math.nan, None, False, False),
        (9.0, None, False, True),
    ],
)
def test_what_is_better(value: float, best: Best | None, higher: bool, better: bool) -> None:
    assert improves(value, best, higher) is better


def test_a_plateau_goes_by_its_metric() -> None:
    recipe = Recipe(PLAIN, plateau=Plateau(metric="val_loss"))
    assert plateau_value(recipe, {"train_loss": 1.0, "val_loss": 2.0}) == 2.0
    with pytest.raises(UsageError, match="train_loss"):
        plateau_value(recipe, {"train_loss": 1.0})
