"""The momentum law of annealing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from lrtool.theory.laws.base import Array, LossLaw, Units
from lrtool.theory.loss_curve import Changes


class Momentum(LossLaw):
    """What a lower LR takes off the loss comes within a fixed number of updates, as a momentum builds up.

    L(t) = L₀ + A·S₁(t)^(−α) − C·S₂(t),  S₂(t) = Σ_{i≤t} m_i,  m_i = λ·m_{i−1} + (η_{i−1} − η_i)

    Each change of the LR adds to S₂ as (1 − λ^updates)/(1 − λ); here B = C/(1 − λ) and λ = exp(−1/τ).

    Source: Tissue et al. 2024, arXiv:2408.11029.
    """

    name: ClassVar[str] = "momentum law"
    source: ClassVar[str] = "arXiv:2408.11029"
    own: ClassVar[tuple[str, ...]] = ("tau",)
    # A thirtieth of a run, within a factor of e^±1.5.
    expected: ClassVar[tuple[float, ...]] = (float(np.log(0.03)),)
    unsure: ClassVar[tuple[float, ...]] = (1.5,)

    def effect(self, own: Array, changes: Changes, scale: Units) -> tuple[Array, Iterator[Array]]:
        """1 − exp(−x), x = updates/τ."""
        x = changes.updates / scale.updates / np.exp(own[0])
        left = np.exp(-x)
        return 1 - left, iter([-left * x])

    def starts(self) -> list[Array]:
        """From three thousandths of a run to a third."""
        return [np.log(np.array([tau])) for tau in (0.003, 0.03, 0.3)]

    def published(self, logs: Array, scale: Units) -> dict[str, float]:
        """L₀, A, C, α and λ of the formula above."""
        least, factor, alpha, most, tau = np.exp(logs)
        decay = float(np.exp(-1 / (tau * scale.updates)))
        return {
            "L0": float(least),
            "A": float(factor * scale.used**alpha),
            "C": float(most / scale.rate * (1 - decay)),
            "alpha": float(alpha),
            "lambda": decay,
        }
