"""Whether the values of a variant's seeds look as the interval of their mean needs them: no outlier, no skew."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Seeds from which on anything can be seen.
LEAST_SEEDS = 5
#: How often normal values are taken for skewed, and for having an outlier: each.
_SIGNIFICANCE = 0.01
#: Seeds from which on several outliers are looked for at once, and the part of seeds that may be.
_MANY, _MOST = 15, 0.2
#: Samples of normal values from which the limit of the skewness is read.
_SAMPLES = 40_000


@dataclass(frozen=True)
class Look:
    """The seeds that are outliers, and whether the others (or all) are skewed."""

    outliers: tuple[int, ...] = ()
    skewed: bool = False

    @property
    def odd(self) -> bool:
        """Whether the mean's interval may hold less often than it says."""
        return self.skewed or bool(self.outliers)


def look(values: Mapping[int, float]) -> Look:
    """How the values of seeds look; those that are not finite are left out, and fewer than 5 look like nothing.

    Outliers: generalised extreme Studentised deviates, of one seed, or from 15 seeds on of up to a fifth of them.
    Skew: the third standardised moment against that of normal samples of the same size. Each errs in 1 of 100 normal
    variants. Where values coincide they stand on a grid, as accuracies over few samples do; the spread is then taken
    to be at least half its step, or the one seed with another number of hits would always be an outlier.

    >>> look(dict(enumerate([1.0, 1.1, 0.9, 1.05, 0.98, 1.02, 0.95, 3.0])))
    Look(outliers=(7,), skewed=True)

    Source: Rosner 1983, Technometrics 25, 165–172; D'Agostino & Pearson 1973, Biometrika 60, 613–622.
    """
    known = {seed: value for seed, value in values.items() if math.isfinite(value)}
    x = np.array(list(known.values()), dtype=np.float64)
    if len(x) < LEAST_SEEDS or np.ptp(x) <= 1e-12 * np.abs(x).max():
        return Look()
    x = (x - x.mean()) / np.ptp(x)
    floor = _grid_variance(x)
    seeds = list(known)
    outliers = tuple(sorted(seeds[place] for place in _outliers(x, floor)))
    return Look(outliers, abs(_skewness(x, floor)) > skew_limit(len(x)))


def _grid_variance(x: Array) -> float:
    """The least variance to reckon with: that of half a step, where values coincide."""
    gaps = np.diff(np.sort(x))
    apart = gaps[gaps > 1e-9]
    return float(apart.min() / 2) ** 2 if len(apart) < len(gaps) else 0.0


def _outliers(x: Array, floor: float) -> list[int]:
    """Places of outliers: the largest number of most deviant values of which the last is beyond its limit."""
    left, taken, found = list(range(len(x))), [], 0
    most = int(_MOST * len(x)) if len(x) >= _MANY else 1
    for number in range(1, most + 1):
        values = x[left]
        away = np.abs(values - values.mean())
        deviation = math.sqrt(values.var(ddof=1) + floor)
        worst = int(away.argmax())
        taken.append(left.pop(worst))
        if away[worst] > _deviate_limit(len(values)) * deviation:
            found = number
    return taken[:found]


@lru_cache(maxsize=1024)
def _deviate_limit(count: int) -> float:
    """Standard deviations beyond which the most deviant of so many normal values lies in 1 of 100 samples."""
    from scipy import special

    t = float(special.stdtrit(count - 2, 1 - _SIGNIFICANCE / (2 * count)))
    return (count - 1) * t / math.sqrt((count - 2 + t**2) * count)


def _skewness(x: Array, floor: float) -> float:
    centred = x - x.mean()
    return float((centred**3).mean() / ((centred**2).mean() + floor) ** 1.5)


@lru_cache(maxsize=512)
def skew_limit(count: int) -> float:
    """The skewness that so many normal values exceed, either way, in 1 of 100 samples: read off samples."""
    rng = np.random.default_rng(count)
    samples = max(2_000, min(_SAMPLES, 4_000_000 // count))
    x = rng.normal(size=(samples, count))
    x -= x.mean(axis=1, keepdims=True)
    skewness = (x**3).mean(axis=1) / (x**2).mean(axis=1) ** 1.5
    return float(np.quantile(np.abs(skewness), 1 - _SIGNIFICANCE))
