"""What laws of loss curves share: how the loss falls with the LRs used, and what a lower LR takes off it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lrtool.theory.loss_curve import Changes

Array = NDArray[np.float64]

#: L₀, A, α and B, which every law has before its own parameters.
SHARED = ("L0", "A", "alpha", "B")


@dataclass(frozen=True)
class Units:
    """Units that make parameters numbers around 1: `rate`, a peak LR; `used`, the LRs of a whole run; `updates`."""

    rate: float
    used: float
    updates: float


class LossLaw(ABC):
    """A law of loss curves: L = L₀ + A·S^(−α) − B·Σ_k Δ_k·G_k.

    S: sum of the LRs up to the moment, warm-up included, in units of `Units.used`. Δ_k: how far update k lowers the LR,
    in units of `Units.rate`. G_k: the part of it that has taken effect, from 0 to 1, which is what laws differ in.
    Parameters are above 0, and their logarithms are what is fitted: first those of `SHARED`, then the law's own.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    #: The law's own parameters.
    own: ClassVar[tuple[str, ...]]
    #: Their logarithms before anything is measured, and how far off these may well be.
    expected: ClassVar[tuple[float, ...]]
    unsure: ClassVar[tuple[float, ...]]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters, in order."""
        return (*SHARED, *self.own)

    @abstractmethod
    def effect(self, own: Array, changes: Changes, scale: Units) -> tuple[Array, Iterator[Array]]:
        """G (n, m), and its derivatives by the logarithms of the law's own parameters, each (n, m)."""

    @abstractmethod
    def starts(self) -> list[Array]:
        """Logarithms of its own parameters from which fits begin."""

    @abstractmethod
    def published(self, logs: Array, scale: Units) -> dict[str, float]:
        """The parameters as the source has them, in the units of the runs."""

    def loss(self, logs: Array, changes: Changes, scale: Units) -> Array:
        """The loss at each moment, (n,); of n runs at their ends, where all that `changes` has is (n, m)."""
        least, factor, alpha, most = np.exp(logs[:4])
        effect, _ = self.effect(logs[4:], changes, scale)
        taken = most * (effect * changes.drop).sum(axis=-1) / scale.rate
        out: Array = least + factor * (changes.used / scale.used) ** -alpha - taken
        return out

    def slopes(self, logs: Array, changes: Changes, scale: Units) -> tuple[Array, Array]:
        """The loss (n,), and its derivatives by the logarithms of the parameters, (n, parameters)."""
        least, factor, alpha, most = np.exp(logs[:4])
        used, drop = changes.used / scale.used, changes.drop / scale.rate
        effect, slopes = self.effect(logs[4:], changes, scale)
        power, taken = factor * used**-alpha, most * (effect @ drop)
        columns = [np.full_like(power, least), power, -power * alpha * np.log(used), -taken]
        columns += [-most * (slope @ drop) for slope in slopes]
        return least + power - taken, np.stack(columns, axis=1)
