"""Which variant is better, by how much, and whether the seeds can tell: paired statistics.

Variants that share a seed share initial weights and batches, so their difference varies less than either of them.
Intervals are Student's t, not bootstrap percentiles: those are too narrow with the 3 to 10 seeds people train.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Interval = tuple[float, float]
#: Resamples for a number of seeds: weights less their mean (resamples, seeds), and how much wider they spread.
Draws = tuple[Array, Array]

#: Part of the intervals that cover the truth, and the significance that goes with it.
CONFIDENCE = 0.95
#: Chance of seeing a difference of the size that was measured, for which seeds are counted.
_POWER = 0.8
#: Seeds beyond which a difference is as good as none.
MOST_SEEDS = 10_000
_RESAMPLES = 4000


@dataclass(frozen=True)
class Estimate:
    """A mean over `count` seeds with its 95% interval; the interval is None with fewer than 2 seeds."""

    mean: float
    interval: Interval | None
    deviation: float
    count: int


@dataclass(frozen=True)
class Difference:
    """`name` minus `other`, over the seeds that both have, in the metric's unit.

    `base`: the size of the other's mean over those seeds. `better`: the probability that `name` is
    better (paired bootstrap), None with fewer than 3 seeds. `p`: two-sided paired t; `corrected`: after Holm's
    correction, equal to `p` for a question asked beforehand. `diverged`: seeds of (name, other) without a finite
    value; with any, only they are told. `hypotheses`: how many tests the correction counts.
    """

    name: str
    other: str
    estimate: Estimate
    base: float
    better: float | None
    p: float | None
    corrected: float | None
    diverged: tuple[int, int] = (0, 0)
    hypotheses: int = 1

    @property
    def significant(self) -> bool:
        """Whether the seeds can tell the two apart."""
        return self.corrected is not None and self.corrected <= 1 - CONFIDENCE

    @property
    def needed(self) -> float | None:
        """Seeds at which a difference of this size would be told 4 times in 5, the correction counted in full.

        Where the two cannot be told apart, more than there are.
        """
        found = seeds_needed(self.estimate.mean, self.estimate.deviation, (1 - CONFIDENCE) / self.hypotheses)
        if found is None or self.significant:
            return found
        return max(found, self.estimate.count + 1)

    @property
    def percent(self) -> float | None:
        """The difference in percent of the other's mean, None where that is 0 or not known."""
        return 100 * self.estimate.mean / self.base if self.base > 0 else None

    @property
    def percent_interval(self) -> Interval | None:
        """The interval of the difference, in percent of the other's mean."""
        if not self.base > 0 or self.estimate.interval is None:
            return None
        low, high = self.estimate.interval
        return 100 * low / self.base, 100 * high / self.base


@dataclass(frozen=True)
class Standing:
    """A variant: its mean over finite seeds, how many `diverged`, the difference to the best (None for the best)."""

    name: str
    estimate: Estimate
    diverged: int
    to_best: Difference | None


@dataclass(frozen=True)
class Comparison:
    """Variants from best to worst, those that diverged in some seed last."""

    higher_is_better: bool
    standings: tuple[Standing, ...]

    @property
    def best(self) -> Standing:
        """The variant with the best mean."""
        return self.standings[0]


def compare(
    variants: Mapping[str, Mapping[int, float]], higher_is_better: bool = False, sampling_seed: int = 0
) -> Comparison:
    """Compare variants, each a mapping of seed to the metric's value (not finite: the seed diverged).

    Holm's correction counts every pair of variants, not only those with the best: which one is best was itself
    read off the data. Raises ValueError where there is no variant or one has no seed.

    >>> values = {"a": {0: 1.0, 1: 1.1, 2: 0.9, 3: 1.0}, "b": {0: 1.3, 1: 1.5, 2: 1.2, 3: 1.3}}
    >>> result = compare(values)
    >>> result.best.name, result.standings[1].to_best.significant
    ('a', True)

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    if not variants or not all(variants.values()):
        raise ValueError("every variant needs at least one seed")
    ranked = sorted(variants, key=lambda name: _rank(variants[name], higher_is_better))
    best, rest = ranked[0], ranked[1:]
    draws: dict[int, Draws] = {}
    pairs = [
        difference(name, variants[name], best, variants[best], higher_is_better, sampling_seed, draws) for name in rest
    ]
    hypotheses = max(1, len(ranked) * len(rest) // 2)
    corrected = holm([pair.p for pair in pairs], hypotheses)
    standings = [Standing(best, *_summed(variants[best]), None)]
    for pair, value in zip(pairs, corrected, strict=True):
        fair = replace(pair, corrected=value, hypotheses=hypotheses)
        standings.append(Standing(pair.name, *_summed(variants[pair.name]), fair))
    return Comparison(higher_is_better, tuple(standings))


def difference(
    name: str,
    values: Mapping[int, float],
    other: str,
    others: Mapping[int, float],
    higher_is_better: bool = False,
    sampling_seed: int = 0,
    draws: dict[int, Draws] | None = None,
) -> Difference:
    """The paired difference of two variants; a single question, so nothing is corrected.

    `draws` keeps the bootstrap's resamples by number of seeds, for whoever asks about many pairs.
    """
    shared = sorted(values.keys() & others.keys())
    mine, theirs = (np.array([each[seed] for seed in shared], dtype=np.float64) for each in (values, others))
    lost = int((~np.isfinite(mine)).sum()), int((~np.isfinite(theirs)).sum())
    if any(lost) or not shared:
        nothing = Estimate(math.nan, None, math.nan, len(shared))
        return Difference(name, other, nothing, math.nan, None, None, None, lost)
    d = mine - theirs
    found = estimate(d)
    p = paired_p(d)
    return Difference(
        name, other, found,
        base=abs(float(theirs.mean())),
        better=_bootstrap(d if higher_is_better else -d, sampling_seed, {} if draws is None else draws),
        p=p, corrected=p,
    )  # fmt: skip


def estimate(values: ArrayLike) -> Estimate:
    """Mean, 95% interval (mean ± t(0.975, n−1)·s/√n) and standard deviation s of n values."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return Estimate(float(x[0]) if len(x) else math.nan, None, math.nan, len(x))
    mean, deviation = float(x.mean()), float(x.std(ddof=1))
    half = _quantile(len(x)) * deviation / math.sqrt(len(x))
    return Estimate(mean, (mean - half, mean + half), deviation, len(x))


def paired_p(differences: ArrayLike) -> float | None:
    """The two-sided p of a t-test that the mean difference is 0; None where there is no spread to judge by.

    That is with fewer than 2 differences, or where all are the same: two seeds that differ by one validation
    sample each are no proof. Where all are 0, p is 1.
    """
    from scipy import special

    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    spread = float(d.std(ddof=1)) / math.sqrt(len(d))
    mean = float(d.mean())
    if spread <= 1e-15 * abs(mean) or spread == 0:
        return 1.0 if mean == 0 else None
    return float(2 * special.stdtr(len(d) - 1, -abs(mean) / spread))


def holm(values: Iterable[float | None], hypotheses: int) -> list[float | None]:
    """Holm's step-down correction of some p-values out of `hypotheses` tests in all; None stays None.

    Where not every test is given, the result is what it would be if the others had larger p: never too small.

    >>> holm([0.01, None, 0.04], 3)
    [0.03, None, 0.08]
    """
    known = list(values)
    out: list[float | None] = [None] * len(known)
    ordered = sorted((p, place) for place, p in enumerate(known) if p is not None)
    highest = 0.0
    for rank, (p, place) in enumerate(ordered):
        highest = max(highest, min(1.0, (hypotheses - rank) * p))
        out[place] = highest
    return out


@lru_cache(maxsize=65_536)
def seeds_needed(mean: float, deviation: float, significance: float = 1 - CONFIDENCE) -> float | None:
    """Seeds at which a paired t-test finds a difference of `mean` ± `deviation` with 80% probability.

    None where the deviation is not known, infinite above `MOST_SEEDS`.

    >>> seeds_needed(1.0, 1.0), seeds_needed(0.5, 1.0)
    (10, 34)

    Source: Cohen 1988, "Statistical power analysis for the behavioral sciences", ch. 2.
    """
    if not (math.isfinite(mean) and math.isfinite(deviation)):
        return None
    if mean == 0 or _power(abs(mean / deviation) if deviation else math.inf, MOST_SEEDS, significance) < _POWER:
        return math.inf
    effect = abs(mean / deviation) if deviation else math.inf
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(effect, middle, significance) >= _POWER else (middle, high)
    return high


def _power(effect: float, count: int, significance: float) -> float:
    """The probability that `count` seeds show an effect of so many standard deviations."""
    from scipy import special

    shift = effect * math.sqrt(count)
    critical = _quantile(count, significance)
    if shift > 30:  # beyond what the noncentral t can be computed for, and close to normal
        return float(special.ndtr((shift - critical) / math.sqrt(1 + critical**2 / (2 * (count - 1)))))
    return float(1 - special.nctdtr(count - 1, shift, critical))


@lru_cache(maxsize=4096)
def _quantile(count: int, significance: float = 1 - CONFIDENCE) -> float:
    """Student's t that a mean of `count` values exceeds, either way, in `significance` of cases."""
    from scipy import special

    return float(special.stdtrit(count - 1, 1 - significance / 2))


def _bootstrap(gains: Array, sampling_seed: int, draws: dict[int, Draws]) -> float | None:
    """The part of resamples of seeds in which the mean gain is above 0; a tie is half a win.

    Plain resamples of n values spread too little when n is small, so each one's deviation from the mean is multiplied
    by √(n/χ²(n−1)): for normal values this gives Student's t, and a 97% is then right in 97 of 100 cases.
    """
    count = len(gains)
    if count < 3:
        return None
    if count not in draws:
        rng = np.random.default_rng(sampling_seed)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES) / count - 1 / count
        draws[count] = weights, np.sqrt(count / rng.chisquare(count - 1, _RESAMPLES))
    weights, spread = draws[count]
    means = gains.mean() + spread * (weights @ gains)
    return float((means > 0).mean() + (means == 0).mean() / 2)


def _summed(values: Mapping[int, float]) -> tuple[Estimate, int]:
    """The estimate over finite values and how many are not."""
    x = np.array(list(values.values()), dtype=np.float64)
    finite = np.isfinite(x)
    return estimate(x[finite]), int((~finite).sum())


def _rank(values: Mapping[int, float], higher_is_better: bool) -> tuple[int, float]:
    found, diverged = _summed(values)
    mean = found.mean if found.count else math.inf
    return diverged, -mean if higher_is_better and found.count else mean
