"""Which variant is better, by how much, and whether the seeds can tell: paired statistics.

Variants that share a seed share initial weights and batches, so their difference varies less than either of them.
Intervals are Student's t, not bootstrap percentiles: those are too narrow with the 3 to 10 seeds people train.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.analysis.student import CONFIDENCE, Estimate, Interval, estimate, paired_p, seeds_needed

Array = NDArray[np.float64]
#: Resamples for a number of seeds: weights less their mean (resamples, seeds), and how much wider they spread.
Draws = tuple[Array, Array]

_RESAMPLES = 4000


@dataclass(frozen=True)
class Difference:
    """`name` minus `other`, over the seeds that both have, in the metric's unit.

    `base`: the size of the other's mean over those seeds. `better`: the probability that `name` is
    better (paired bootstrap), None with fewer than 3 seeds. `p`: `paired_p`; `corrected`: after Holm's
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
    sums = {name: _summed(values) for name, values in variants.items()}
    ranked = sorted(variants, key=lambda name: _rank(*sums[name], higher_is_better))
    best, rest = ranked[0], ranked[1:]
    draws: dict[int, Draws] = {}
    pairs = [
        difference(name, variants[name], best, variants[best], higher_is_better, sampling_seed, draws) for name in rest
    ]
    hypotheses = max(1, len(ranked) * len(rest) // 2)
    corrected = holm([pair.p for pair in pairs], hypotheses)
    standings = [Standing(best, *sums[best], None)]
    for pair, value in zip(pairs, corrected, strict=True):
        fair = replace(pair, corrected=value, hypotheses=hypotheses)
        standings.append(Standing(pair.name, *sums[pair.name], fair))
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


def median_interval(values: ArrayLike) -> Interval | None:
    """The 95% interval of the median: the k-th smallest and the k-th largest of n values, whatever their distribution.

    k is the largest with P(B < k) ≤ 2.5%, B binomial with n and ½; with fewer than 6 values there is none. Infinite
    values, of seeds that never got there, count as the largest.

    >>> median_interval([3, 1, 2, math.inf, 5, 4]), median_interval([1, 2, 3, 4, 5])
    ((1.0, inf), None)

    Source: Thompson 1936, "On confidence ranges for the median".
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    count, place, tail = len(x), 0, 0.5 ** len(x)
    while tail <= (1 - CONFIDENCE) / 2:
        place += 1
        tail += math.comb(count, place) * 0.5**count
    return (float(x[place - 1]), float(x[count - place])) if place else None


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


def _rank(found: Estimate, diverged: int, higher_is_better: bool) -> tuple[int, float]:
    mean = found.mean if found.count else math.inf
    return diverged, -mean if higher_is_better and found.count else mean
