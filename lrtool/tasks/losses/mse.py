"""Mean squared error."""

from __future__ import annotations

from typing import Literal

from lrtool.tasks.base import LossFunction
from lrtool.tasks.losses.base import Elementwise


class Mse(Elementwise):
    """Mean squared error: mean of (output − target)²."""

    kind: Literal["mse"] = "mse"

    def function(self) -> LossFunction:
        """The function."""
        from torch.nn import functional

        return functional.mse_loss
