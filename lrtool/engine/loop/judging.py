"""What an evaluation says: whether these are the best weights so far, and what a plateau goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lrtool.engine.trials import Recipe
from lrtool.errors import UsageError


@dataclass(frozen=True)
class Best:
    """The best weights, after `step` updates; `value` is what the recipe's `best` names, and was best there.

    `train_loss` is its mean since the evaluation before, and stands in where there is no validation data. `weights` is
    a copy of the model's `state_dict` on the CPU.
    """

    step: int
    value: float
    weights: Mapping[str, Tensor]


def improves(value: float, best: Best | None, higher: bool) -> bool:
    """Whether the weights of such a value are the best so far; `higher`: whether a larger value is better."""
    if best is None:
        return bool(np.isfinite(value))
    return value > best.value if higher else value < best.value


def plateau_value(recipe: Recipe, values: Mapping[str, float]) -> float:
    """What the recipe's plateau follows, of an evaluation's values; UsageError where they do not have it."""
    assert recipe.plateau is not None
    metric = recipe.plateau.metric
    if metric not in values:
        raise UsageError(
            f"the plateau follows {metric!r}, but an evaluation gives only: {', '.join(values)}",
            where="plateau.metric",
            remedy=f"write {'val_loss' if 'val_loss' in values else 'train_loss'}",
        )
    return values[metric]
