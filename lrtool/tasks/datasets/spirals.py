"""Interleaved spirals (synthetic)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field

from lrtool.tasks.base import Arrays, BuildContext, DataShape
from lrtool.tasks.memory import InMemory, scale_inputs


class Spirals(InMemory):
    """Points in the plane on interleaved spirals, one class an arm.

    Arm k: radius r = √u, angle 2π·(turns·r + k/arms), u uniform in (0, 1); Gaussian noise on both coordinates.
    """

    kind: Literal["spirals"] = "spirals"
    samples: int = Field(2000, ge=2, description="Points in all.")
    arms: int = Field(2, ge=2, description="Spirals, that is, classes.")
    turns: float = Field(1.5, gt=0, allow_inf_nan=False, description="Full turns from the centre to the rim.")
    noise: float = Field(0.02, ge=0, allow_inf_nan=False, description="Standard deviation of the noise; the rim is 1.")
    seed: int = Field(0, ge=0, description="Seed of the points.")

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Points (samples, 2) and arms (samples,)."""
        rng = np.random.Generator(np.random.Philox(key=self.seed))
        arm = np.arange(self.samples) % self.arms
        radius = np.sqrt(rng.uniform(size=self.samples))
        angle = 2 * math.pi * (self.turns * radius + arm / self.arms)
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        points += self.noise * rng.standard_normal(points.shape)
        return Arrays((points,), arm), DataShape((2,), self.arms, "class")

    def standardise(self, train: Arrays, val: Arrays | None) -> tuple[Arrays, Arrays | None]:
        """Per coordinate."""
        return scale_inputs(train, val)
