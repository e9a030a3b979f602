"""Mean absolute error as a loss."""

from __future__ import annotations

from typing import Literal

from lrtool.tasks.base import LossFunction
from lrtool.tasks.losses.base import Elementwise


class L1(Elementwise):
    """Mean absolute error: mean of |output − target|."""

    kind: Literal["l1"] = "l1"

    def function(self) -> LossFunction:
        """The function."""
        from torch.nn import functional

        return functional.l1_loss
