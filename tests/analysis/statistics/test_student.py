import math

import numpy as np
import pytest

from lrtool.analysis.statistics.comparison import difference
from lrtool.analysis.statistics.student import estimate, paired_p, quantile, seeds_needed, usable

NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, shape),
    "skewed": lambda rng, shape: rng.lognormal(0, 0.3, shape) - np.exp(0.045),
    "heavy": lambda rng, shape: rng.laplace(size=shape),
}


def misses(values):
    """The part of rows, which are around 0, whose interval leaves 0 out."""
    count = values.shape[1]
    half = quantile(count) * values.std(axis=1, ddof=1) / math.sqrt(count)
    return float(np.mean(np.abs(values.mean(axis=1)) > half))


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 10, 30])
@pytest.mark.parametrize("noise", NOISE)
def test_equal_variants_are_told_apart_in_at_most_5_of_100_cases(noise, seeds):
    rng = np.random.default_rng(seeds)
    shape = (100_000, seeds)
    wrong = misses(NOISE[noise](rng, shape) - NOISE[noise](rng, shape))
    # Two standard errors of 5% are 0.14 points; without `usable`, uniform noise gives 5.2%.
    assert 0.03 <= wrong <= 0.0514


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 10, 30])
@pytest.mark.parametrize("noise", ["normal", "uniform", "skewed"])
def test_the_mean_of_few_seeds_is_covered_whatever_their_noise(noise, seeds):
    missed = misses(NOISE[noise](np.random.default_rng(seeds), (100_000, seeds)))
    # Without `usable`, the mean of 3 uniform values is missed in 7.8%.
    assert 0.03 <= missed <= 0.0716


def test_the_intervals_are_those_of_the_simulation():
    rng = np.random.default_rng(1)
    for row in rng.normal(size=(50, 4)):
        low, high = estimate(row).interval
        half = quantile(4) * row.std(ddof=1) / 2
        assert (low, high) == pytest.approx((row.mean() - half, row.mean() + half))


def test_it_is_scipys_paired_t_test_at_a_slightly_smaller_tail():
    from scipy import stats

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=8), rng.normal(0.5, 1, 8)
    found = difference("a", dict(enumerate(a)), "b", dict(enumerate(b)))
    expected = stats.ttest_rel(a, b)
    part = 8.4 / 9
    interval = expected.confidence_interval(1 - 0.05 * part)
    assert usable(8) == pytest.approx(part) and found.p == pytest.approx(expected.pvalue / part)
    assert found.estimate.interval == pytest.approx((interval.low, interval.high))


def test_an_interval_leaves_out_zero_exactly_where_p_is_at_most_5_percent():
    rng = np.random.default_rng(3)
    for seeds in (2, 3, 5, 20):
        told = 0
        for d in rng.normal(1.5 / math.sqrt(seeds), 1, (300, seeds)):
            low, high = estimate(d).interval
            told += paired_p(d) <= 0.05
            assert (paired_p(d) <= 0.05) == (not low <= 0 <= high)
        assert 0 < told < 300
    low, high = estimate([-1.0, 0.0, 1.0]).interval
    assert high - low == pytest.approx(2 * quantile(3) / math.sqrt(3)) and paired_p([-1.0, 0.0, 1.0]) == 1.0


def test_equal_differences_are_no_proof():
    assert paired_p([0.0, 0.0, 0.0]) == 1.0
    assert paired_p([0.01, 0.01]) is None and paired_p([0.5]) is None


def test_so_many_seeds_as_are_said_to_be_needed_are_needed():
    for effect in (0.5, 1.0, 2.0):
        needed = seeds_needed(effect, 1.0)
        rng = np.random.default_rng(2)
        power, fewer = (1 - np.mean([paired_p(row) > 0.05 for row in rng.normal(effect, 1, (2000, seeds))])
                        for seeds in (needed, needed - 1))  # fmt: skip
        # One standard error of 80% is 0.9 points.
        assert power >= 0.78 and fewer <= 0.82
    assert seeds_needed(0.0, 1.0) == math.inf and seeds_needed(1e-6, 1.0) == math.inf
    assert seeds_needed(1.0, 1e-9) == 2 and seeds_needed(1.0, math.nan) is None
