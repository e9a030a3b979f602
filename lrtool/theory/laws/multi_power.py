"""The multi-power law."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from lrtool.theory.laws.base import Array, LossLaw, Units
from lrtool.theory.loss_curve import Changes


class MultiPower(LossLaw):
    """What a lower LR takes off the loss comes as a power of the LRs used since, the sooner the lower the LR.

    L(t) = L₀ + A·(S₁(t) + S_W)^(−α) − B·Σ_k (η_{k−1} − η_k)·[1 − (1 + C·η_k^(−γ)·S_k(t))^(−β)]

    S₁: sum of the LRs after warm-up up to t; S_W: that of the warm-up; S_k: that from update k to t.

    Source: Luo et al. 2025, arXiv:2503.12811.
    """

    name: ClassVar[str] = "multi-power law"
    source: ClassVar[str] = "arXiv:2503.12811"
    own: ClassVar[tuple[str, ...]] = ("C", "beta", "gamma")
    # A simple power, and an effect that takes about a hundredth of a run: within e^±3, and factors of 2.
    expected: ClassVar[tuple[float, ...]] = (float(np.log(100.0)), 0.0, float(np.log(0.5)))
    unsure: ClassVar[tuple[float, ...]] = (3.0, 0.7, 0.7)

    def effect(self, own: Array, changes: Changes, scale: Units) -> tuple[Array, Iterator[Array]]:
        """1 − (1 + x)^(−β), x = C·(η_k/rate)^(−γ)·S_k/used."""
        speed, beta, gamma = np.exp(own)
        rate = np.log(np.maximum(changes.rate / scale.rate, 1e-6))
        x = speed * np.exp(-gamma * rate) * (changes.since / scale.used)
        left = (1 + x) ** -beta
        return 1 - left, self._slopes(x, left, beta, gamma * rate)

    @staticmethod
    def _slopes(x: Array, left: Array, beta: float, power: Array) -> Iterator[Array]:
        by_x = beta * left * x / (1 + x)
        yield by_x
        yield beta * left * np.log1p(x)
        yield -by_x * power

    def starts(self) -> list[Array]:
        """Effects that take from a thousandth of a run to a tenth."""
        return [np.array([np.log(speed), 0.0, np.log(0.5)]) for speed in (10.0, 100.0, 1000.0)]

    def published(self, logs: Array, scale: Units) -> dict[str, float]:
        """L₀, A, B, C, α, β, γ of the formula above."""
        least, factor, alpha, most, speed, beta, gamma = np.exp(logs)
        return {
            "L0": float(least),
            "A": float(factor * scale.used**alpha),
            "B": float(most / scale.rate),
            "C": float(speed * scale.rate**gamma / scale.used),
            "alpha": float(alpha),
            "beta": float(beta),
            "gamma": float(gamma),
        }
