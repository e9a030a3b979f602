"""The Huber loss."""

from __future__ import annotations

import functools
from typing import Literal

from pydantic import Field

from lrtool.tasks.base import LossFunction
from lrtool.tasks.losses.base import Elementwise


class Huber(Elementwise):
    """Squared near zero, linear far away: mean of e²/2 where |e| ≤ δ, else δ·(|e| − δ/2), e = output − target.

    Source: Huber 1964, doi:10.1214/aoms/1177703732.
    """

    kind: Literal["huber"] = "huber"
    delta: float = Field(1.0, gt=0, allow_inf_nan=False, description="Where the loss turns linear.")

    def function(self) -> LossFunction:
        """The function."""
        from torch.nn import functional

        return functools.partial(functional.huber_loss, delta=self.delta)
