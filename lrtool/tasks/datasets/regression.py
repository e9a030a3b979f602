"""Noisy values of a random function (synthetic)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from lrtool.tasks.base import Arrays, BuildContext, DataShape
from lrtool.tasks.memory import InMemory


class Regression(InMemory):
    """Values of a random teacher network with noise; optionally with badly scaled inputs.

    z ~ N(0, I), y = V·tanh(W·z) scaled to variance 1 per output, plus noise·ε. The model sees x = s⊙z, where the scales
    s fall from 1 to 1/condition in equal ratios; nothing is standardised, so a large `condition` is a hard problem.
    """

    kind: Literal["regression"] = "regression"
    samples: int = Field(2000, ge=2, description="Samples in all.")
    features: int = Field(16, ge=1, description="Numbers in one sample.")
    outputs: int = Field(1, ge=1, description="Values to predict.")
    teacher_width: int = Field(32, ge=1, description="Hidden units of the teacher.")
    noise: float = Field(0.1, ge=0, allow_inf_nan=False, description="Noise, in standard deviations of the values.")
    condition: float = Field(1.0, ge=1, allow_inf_nan=False, description="Largest over smallest input scale.")
    seed: int = Field(0, ge=0, description="Seed of the teacher and the samples.")

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Inputs (samples, features) and values (samples, outputs)."""
        rng = np.random.Generator(np.random.Philox(key=self.seed))
        first = rng.standard_normal((self.features, self.teacher_width)) / np.sqrt(self.features)
        last = rng.standard_normal((self.teacher_width, self.outputs))
        z = rng.standard_normal((self.samples, self.features))
        clean = np.tanh(z @ first) @ last
        clean = (clean - clean.mean(axis=0)) / clean.std(axis=0)
        values = clean + self.noise * rng.standard_normal(clean.shape)
        scales = np.geomspace(1.0, 1.0 / self.condition, self.features)
        return Arrays((z * scales,), values), DataShape((self.features,), self.outputs, "value")
