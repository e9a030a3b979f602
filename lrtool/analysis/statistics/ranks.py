"""Medians and what goes with them: intervals, tests and numbers of seeds that come from ranks alone.

They hold whatever the size of outliers, and where a mean's interval does not. With fewer than 6 values there is none.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.analysis.statistics.student import CONFIDENCE, MOST_SEEDS, Estimate, Interval

Array = NDArray[np.float64]

#: Seeds up to which the signed-rank statistic's distribution is worked out; beyond, it is as good as normal.
_EXACT = 100
#: Normal quantile of the chance, 80%, of seeing a difference of the size that was measured.
_POWER = 0.8416212335729143


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


def median(values: ArrayLike) -> Estimate:
    """The median of n values, its 95% interval and their standard deviation."""
    x = np.asarray(values, dtype=np.float64)
    if not len(x):
        return Estimate(math.nan, None, math.nan, 0)
    deviation = float(x.std(ddof=1)) if len(x) > 1 else math.nan
    return Estimate(float(np.median(x)), median_interval(x), deviation, len(x))


def shift(differences: ArrayLike) -> Estimate:
    """The median of n paired differences by Hodges and Lehmann, with the 95% interval of the signed-rank test.

    Of the n(n + 1)/2 averages (dᵢ + dⱼ)/2, i ≤ j: their median, the k-th smallest and the k-th largest; k is the
    largest with P(W < k) ≤ 2.5%, W Wilcoxon's signed-rank statistic of n. Exact where differences lie alike to both
    sides of their median, as those of two variants with the same noise do, however heavy its tails.

    Source: Hodges & Lehmann 1963, Ann. Math. Statist. 34, 598–611; Hollander & Wolfe 1999, section 3.3.
    """
    d = np.asarray(differences, dtype=np.float64)
    if not len(d):
        return Estimate(math.nan, None, math.nan, 0)
    walsh = np.sort(_averages(d))
    place = int(np.searchsorted(_at_most(len(d)), (1 - CONFIDENCE) / 2, side="right"))
    interval = (float(walsh[place - 1]), float(walsh[len(walsh) - place])) if place else None
    deviation = float(d.std(ddof=1)) if len(d) > 1 else math.nan
    return Estimate(float(np.median(walsh)), interval, deviation, len(d))


def signed_rank_p(differences: ArrayLike) -> float | None:
    """The two-sided p of Wilcoxon's signed-rank test that differences lie around 0; None with fewer than 2.

    It is at most 5% exactly where the interval of `shift` leaves out 0: averages that are 0 count against.

    >>> signed_rank_p([1, 2, 3, 4, 5, 6]), signed_rank_p([1, 2, 3])
    (0.03125, 0.25)

    Source: Wilcoxon 1945, Biometrics Bulletin 1, 80–83.
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    walsh = _averages(d)
    fewest = min(int((walsh <= 0).sum()), int((walsh >= 0).sum()))
    return min(1.0, 2 * float(_at_most(len(d))[fewest]))


def probability_above(differences: ArrayLike) -> float | None:
    """How sure the signed-rank test is that differences lie above 0; a tie is half a win. None with fewer than 3."""
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 3:
        return None
    walsh, below = _averages(d), _at_most(len(d))
    # The middle of the probabilities of as many and of fewer, over what ties leave open.
    places = int((walsh > 0).sum()), int((walsh >= 0).sum())
    return float(np.mean([(below[place] + (below[place - 1] if place else 0.0)) / 2 for place in places]))


def seeds_by_ranks(differences: ArrayLike, significance: float) -> float | None:
    """Seeds at which the signed-rank test tells differences like these 4 times in 5; None with fewer than 2.

    n = (z + z')²/(3·(p − ½)²), p the share of pairs whose average is above 0; z, z' normal quantiles of significance
    and power. Large differences need somewhat fewer. It is never below what the test needs to reach the significance.

    Source: Noether 1987, J. Amer. Statist. Assoc. 82, 645–647.
    """
    from scipy import special

    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    first, second = np.triu_indices(len(d), 1)
    averages = d[first] + d[second]
    lead = abs(float((averages > 0).mean() - (averages < 0).mean())) / 2
    least = math.ceil(1 - math.log2(significance))
    z = -float(special.ndtri(significance / 2)) + _POWER
    found = z**2 / (3 * lead**2) if lead else math.inf
    return math.inf if found > MOST_SEEDS else float(max(least, math.ceil(found)))


def _averages(d: Array) -> Array:
    """The averages of all pairs, each value with itself included, (n(n + 1)/2,)."""
    first, second = np.triu_indices(len(d))
    averages: Array = (d[first] + d[second]) / 2
    return averages


@lru_cache(maxsize=512)
def _at_most(count: int) -> Array:
    """P(W ≤ w) for w = 0 … n(n + 1)/2, W the sum of those of the ranks 1 … n whose sign is +, each with chance ½."""
    most = count * (count + 1) // 2
    if count > _EXACT:
        from scipy import special

        spread = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
        normal: Array = special.ndtr((np.arange(most + 1) + 0.5 - most / 2) / spread)
        return normal
    chances = np.zeros(most + 1)
    chances[0] = 1.0
    for rank in range(1, count + 1):
        chances[rank:] = (chances[rank:] + chances[: most + 1 - rank]) / 2
        chances[:rank] /= 2
    exact: Array = np.minimum(chances.cumsum(), 1.0)
    return exact
