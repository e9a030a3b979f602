"""Reduce on plateau: a factor that follows the evaluations, apart from the pure curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lrtool import units
from lrtool.schedules.rules import bounds

#: What is left of the peak must fall by more than this (an LR) for a reduction to count, as in torch.
_LEAST_CHANGE = 1e-8


class Plateau(BaseModel):
    """Multiply the LR by `factor` when a metric has not improved for more than `patience` evaluations.

    It is no curve: it depends on what training measures. Its `PlateauState` multiplies whatever the
    schedule's curve says, so it works under warm-up and any schedule.

    An evaluation m improves on the best b if m < b·(1 − threshold) (rel) or m < b − threshold (abs); for
    mode max, which metrics such as accuracy have by themselves, m > b·(1 + threshold) or m > b + threshold. After a
    reduction, `cooldown` evaluations do not count as bad. A NaN never improves. The reduced peak stays at or above
    `min_lr`.

    Equals torch.optim.lr_scheduler.ReduceLROnPlateau when the schedule is constant.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    factor: Annotated[float, bounds(above=0, below=1, example=0.1)] = Field(
        0.1, description="What the LR is multiplied by."
    )
    patience: int = Field(10, ge=0, description="Evaluations without improvement that are tolerated.")
    cooldown: int = Field(0, ge=0, description="Evaluations after a reduction that do not count as bad.")
    threshold: float = Field(1e-4, ge=0, allow_inf_nan=False, description="Smallest change that is an improvement.")
    threshold_mode: Literal["rel", "abs"] = Field("rel", description="Threshold as a part of the best, or absolute.")
    min_lr: units.Level = Field(
        units.Level(0.0), description="Lower bound of the reduced peak: an LR, or a percentage of the peak."
    )
    mode: Literal["auto", "min", "max"] = Field(
        "auto", description="Whether the metric should fall or rise; auto: as the metric itself says, losses fall."
    )
    metric: str = Field("val_loss", description="Column of the evaluations to follow.")

    def following(self, higher_is_better: Mapping[str, bool]) -> Plateau:
        """The same with a mode, by what the columns of evaluations say of themselves."""
        if self.mode != "auto":
            return self
        return self.model_copy(update={"mode": "max" if higher_is_better.get(self.metric) else "min"})

    def improves(self, value: float, best: float) -> bool:
        """Whether an evaluation beats the best by more than the threshold."""
        sign = 1.0 if self.mode == "max" else -1.0
        relative = self.threshold_mode == "rel"
        least = best * (1.0 + sign * self.threshold) if relative else best + sign * self.threshold
        return value > least if self.mode == "max" else value < least


class PlateauState:
    """The running state of a `Plateau`: feed it evaluations, read `factor`.

    >>> state = PlateauState(Plateau(factor=0.5, patience=1), peak=0.1)
    >>> [state.update(loss) for loss in (1.0, 0.9, 0.9, 0.9, 0.9)]
    [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    def __init__(self, plateau: Plateau, peak: float) -> None:
        self.plateau, self.peak = plateau, peak
        self.factor = 1.0
        self.best: float | None = None
        self.bad = 0
        self.cooling = 0

    def update(self, value: float) -> float:
        """Take one evaluation and return the factor that holds from now on."""
        worst = -math.inf if self.plateau.mode == "max" else math.inf
        if self.plateau.improves(value, worst if self.best is None else self.best):
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        if self.cooling:
            self.cooling -= 1
            self.bad = 0
        if self.bad > self.plateau.patience:
            self._reduce()
            self.cooling, self.bad = self.plateau.cooldown, 0
        return self.factor

    def _reduce(self) -> None:
        reduced = max(self.factor * self.plateau.factor, self.plateau.min_lr.fraction(self.peak))
        if (self.factor - reduced) * self.peak > _LEAST_CHANGE:
            self.factor = reduced

    def state(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {"factor": self.factor, "best": self.best, "bad": self.bad, "cooling": self.cooling}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.factor, self.best = state["factor"], state["best"]
        self.bad, self.cooling = state["bad"], state["cooling"]
