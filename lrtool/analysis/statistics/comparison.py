"""Which variant is better, by how much, and whether the seeds can tell: paired statistics.

Variants that share a seed share initial weights and batches, so their difference varies less than either of them.
Intervals are Student's t, not bootstrap percentiles: those are too narrow with the 3 to 10 seeds people train. With
the statistic "median", which outliers and skew do not move, all of it comes from ranks (see `ranks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.statistics import ranks
from lrtool.analysis.statistics.look import Look, look
from lrtool.analysis.statistics.ranks import median_interval as median_interval
from lrtool.analysis.statistics.student import (
    CONFIDENCE,
    Estimate,
    Interval,
    bounded_estimate,
    estimate,
    paired_p,
    seeds_needed,
)

Array = NDArray[np.float64]
#: What variants are compared by, over their seeds.
Statistic = Literal["mean", "median"]
#: Resamples for a number of seeds: weights less their mean (resamples, seeds), and how much wider they spread.
Draws = tuple[Array, Array]

_RESAMPLES = 4000


@dataclass(frozen=True)
class Difference:
    """`name` minus `other`, over the seeds that both have, in the metric's unit.

    `estimate`: by `statistic`, the mean difference, or `ranks.shift`. `base`: the size of the other's mean (median)
    over those seeds. `better`: the probability that `name` is better (paired bootstrap; by ranks), None with fewer
    than 3 seeds. `p`: `paired_p` or `signed_rank_p`; `corrected`: after Holm's correction, equal to `p` for a question
    asked beforehand. `diverged`: seeds of (name, other) without a finite value; with any, only they are told.
    `hypotheses`: how many tests the correction counts. `each`: the differences themselves.
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
    statistic: Statistic = "mean"
    each: Array = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @property
    def significant(self) -> bool:
        """Whether the seeds can tell the two apart."""
        return self.corrected is not None and self.corrected <= 1 - CONFIDENCE

    @property
    def needed(self) -> float | None:
        """Seeds at which a difference of this size would be told 4 times in 5, the correction counted in full.

        Where the two cannot be told apart, more than there are.
        """
        significance = (1 - CONFIDENCE) / self.hypotheses
        if self.statistic == "median":
            found = ranks.seeds_by_ranks(self.each, significance)
        else:
            found = seeds_needed(self.estimate.mean, self.estimate.deviation, significance)
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
    """A variant: its mean over finite seeds, how many `diverged`, the difference to the best (None for the best).

    `median`: the median over the same seeds. `look`: whether they have outliers or skew, so that the mean's interval
    may hold less often than 95%. `statistic`: which of the two the variant is ranked by.
    """

    name: str
    mean: Estimate
    median: Estimate
    diverged: int
    to_best: Difference | None
    look: Look = field(default_factory=Look)
    statistic: Statistic = "mean"

    @property
    def estimate(self) -> Estimate:
        """The mean or the median, as the comparison is by."""
        return self.mean if self.statistic == "mean" else self.median


@dataclass(frozen=True)
class Comparison:
    """Variants from best to worst by a statistic over seeds, those that diverged in some seed last."""

    higher_is_better: bool
    standings: tuple[Standing, ...]
    statistic: Statistic = "mean"

    @property
    def best(self) -> Standing:
        """The variant with the best mean (or median)."""
        return self.standings[0]


def compare(
    variants: Mapping[str, Mapping[int, float]],
    higher_is_better: bool = False,
    sampling_seed: int = 0,
    statistic: Statistic = "mean",
    bounded: bool = False,
) -> Comparison:
    """Compare variants, each a mapping of seed to the metric's value (not finite: the seed diverged).

    `bounded`: the metric lies in [0, 1], as accuracies do, so the mean's interval is one on the logit scale. Holm's
    correction counts every pair of variants, not only those with the best: which one is best was itself read off the
    data. Raises ValueError where there is no variant or one has no seed.

    >>> values = {"a": {0: 1.0, 1: 1.1, 2: 0.9, 3: 1.0}, "b": {0: 1.3, 1: 1.5, 2: 1.2, 3: 1.3}}
    >>> result = compare(values)
    >>> result.best.name, result.standings[1].to_best.significant
    ('a', True)

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    if not variants or not all(variants.values()):
        raise ValueError("every variant needs at least one seed")
    found = [_standing(name, values, statistic, bounded) for name, values in variants.items()]
    best, *rest = sorted(found, key=lambda each: _rank(each.estimate, each.diverged, higher_is_better))
    draws: dict[int, Draws] = {}
    pairs = [
        difference(
            each.name, variants[each.name], best.name, variants[best.name],
            higher_is_better, sampling_seed, draws, statistic,
        )
        for each in rest
    ]  # fmt: skip
    hypotheses = max(1, len(found) * len(rest) // 2)
    corrected = holm([pair.p for pair in pairs], hypotheses)
    standings = [best]
    for each, pair, value in zip(rest, pairs, corrected, strict=True):
        standings.append(replace(each, to_best=replace(pair, corrected=value, hypotheses=hypotheses)))
    return Comparison(higher_is_better, tuple(standings), statistic)


def difference(
    name: str,
    values: Mapping[int, float],
    other: str,
    others: Mapping[int, float],
    higher_is_better: bool = False,
    sampling_seed: int = 0,
    draws: dict[int, Draws] | None = None,
    statistic: Statistic = "mean",
) -> Difference:
    """The paired difference of two variants; a single question, so nothing is corrected.

    `draws` keeps the bootstrap's resamples by number of seeds, for whoever asks about many pairs.
    """
    shared = sorted(values.keys() & others.keys())
    mine, theirs = (np.array([each[seed] for seed in shared], dtype=np.float64) for each in (values, others))
    lost = int((~np.isfinite(mine)).sum()), int((~np.isfinite(theirs)).sum())
    if any(lost) or not shared:
        nothing = Estimate(math.nan, None, math.nan, len(shared))
        return Difference(name, other, nothing, math.nan, None, None, None, lost, statistic=statistic)
    d = mine - theirs
    gains = d if higher_is_better else -d
    if statistic == "median":
        found, p, better = ranks.shift(d), ranks.signed_rank_p(d), ranks.probability_above(gains)
    else:
        found, p = estimate(d), paired_p(d)
        better = _bootstrap(gains, sampling_seed, {} if draws is None else draws)
    base = abs(float(np.median(theirs) if statistic == "median" else theirs.mean()))
    return Difference(name, other, found, base, better, p, p, statistic=statistic, each=d)


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


def _standing(name: str, values: Mapping[int, float], statistic: Statistic, bounded: bool) -> Standing:
    """A variant by itself: its estimates over finite values, and how many are not."""
    x = np.array(list(values.values()), dtype=np.float64)
    finite = np.isfinite(x)
    kept = x[finite]
    mean = bounded_estimate(kept) if bounded else estimate(kept)
    return Standing(name, mean, ranks.median(kept), int((~finite).sum()), None, look(values), statistic)


def _rank(found: Estimate, diverged: int, higher_is_better: bool) -> tuple[int, float]:
    mean = found.mean if found.count else math.inf
    return diverged, -mean if higher_is_better and found.count else mean
