import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lrtool.analysis.statistics.comparison import compare, difference
from lrtool.analysis.statistics.ranks import _at_most, median, probability_above, seeds_by_ranks, shift, signed_rank_p
from lrtool.analysis.statistics.student import bounded_estimate, estimate


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_the_distribution_is_that_of_all_signs(count):
    sums = [
        sum(rank for rank, sign in enumerate(signs, 1) if sign) for signs in itertools.product((0, 1), repeat=count)
    ]
    most = count * (count + 1) // 2
    expected = [np.mean([total <= place for total in sums]) for place in range(most + 1)]
    np.testing.assert_allclose(_at_most(count), expected, rtol=1e-12)


def test_beyond_the_exact_table_it_is_close_to_normal():
    exact, normal = _at_most(100), _at_most(101)
    assert normal[int(101 * 102 / 4) - 300] == pytest.approx(exact[int(100 * 101 / 4) - 300], abs=0.003)


@pytest.mark.parametrize("seeds", [2, 5, 6, 10, 30])
def test_the_test_is_scipys_exact_one_where_nothing_is_tied(seeds):
    rng = np.random.default_rng(seeds)
    for effect in (0.0, 0.5, 1.5):
        d = rng.normal(effect, 1, seeds)
        assert signed_rank_p(d) == pytest.approx(stats.wilcoxon(d, mode="exact").pvalue, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["normal", "laplace", "outliers"])
@pytest.mark.parametrize("seeds", [6, 10, 20])
def test_the_interval_covers_and_agrees_with_the_test(noise, seeds):
    rng = np.random.default_rng(seeds)
    covered = 0
    for _ in range(1500):
        d = rng.laplace(size=seeds) if noise == "laplace" else rng.normal(size=seeds)
        if noise == "outliers":
            d[rng.random(seeds) < 0.1] *= 30
        low, high = shift(d).interval
        covered += low <= 0 <= high
        assert (signed_rank_p(d) <= 0.05) == (not low <= 0 <= high)
    # Ranks are discrete: the interval covers at least that much. Two standard errors are 1.1 points.
    assert 0.939 <= covered / 1500 <= 0.99


def test_ties_and_zeros_count_against_a_finding():
    assert signed_rank_p([0.0] * 8) == 1 and shift([0.0] * 8).interval == (0, 0)
    assert signed_rank_p([0, 0, 0, 1, 1, 1, 1]) > 0.05
    assert probability_above([0.0] * 8) == pytest.approx(0.5, abs=0.05)
    assert shift([]).count == 0 and shift([2.0]).mean == 2 and signed_rank_p([2.0]) is None
    assert probability_above([1, 2]) is None and median([]).count == 0


def test_as_many_seeds_as_are_said_to_be_needed_tell_4_times_in_5():
    rng = np.random.default_rng(2)
    needed = int(np.median([seeds_by_ranks(rng.normal(0.8, 1, 200), 0.05) for _ in range(20)]))
    told = np.mean([signed_rank_p(rng.normal(0.8, 1, needed)) <= 0.05 for _ in range(600)])
    assert 0.72 <= told <= 0.95
    assert seeds_by_ranks([1, 2, 3, 4, 5], 0.05) >= 6 and seeds_by_ranks([1, -1, 2, -2], 0.05) == math.inf
    found = difference("a", {0: 1.0, 1: 2.1, 2: 3.2}, "b", {0: 0.0, 1: 1.0, 2: 2.0}, statistic="median")
    assert found.needed > 3 and found.p == 0.25 and found.percent == pytest.approx(110)


def test_medians_are_told_apart_beside_outliers_where_means_are_not():
    rng = np.random.default_rng(4)
    told = {"mean": 0, "median": 0}
    for _ in range(100):
        a, b = rng.normal(1.0, 0.1, 12), rng.normal(1.2, 0.1, 12)
        a[3], b[7] = 9, 7
        variants = {"a": dict(enumerate(a)), "b": dict(enumerate(b))}
        for statistic in told:
            gap = compare(variants, statistic=statistic).standings[1].to_best
            told[statistic] += gap.significant and gap.other == "a"
    assert told["mean"] < 10 and told["median"] > 45


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10, 30])
@pytest.mark.parametrize("accuracy", [0.9, 0.98, 0.999])
def test_the_mean_of_accuracies_near_1_is_covered(accuracy, seeds):
    rng = np.random.default_rng(seeds)
    # The error's spread is as large as the error: mean ± t·s/√n covers 89% here.
    k = accuracy * (1 - accuracy) / (1 - accuracy) ** 2 - 1
    rows = rng.beta(accuracy * k, (1 - accuracy) * k, size=(4000, seeds))
    ends = np.array([bounded_estimate(row).interval for row in rows])
    assert 0.93 <= np.mean((ends[:, 0] <= accuracy) & (accuracy <= ends[:, 1])) <= 0.98
    assert (ends > 0).all() and (ends <= 1).all()


def test_bounds_themselves_are_handled():
    assert bounded_estimate([1.0, 1.0, 1.0]).interval is None and bounded_estimate([0.0, 0.0]).interval is None
    low, high = bounded_estimate([1.0, 1.0, 0.99]).interval
    assert 0.7 < low < 0.9967 < high < 1
    assert bounded_estimate([0.5]).interval is None
    middle, plain = bounded_estimate([0.49, 0.5, 0.51]).interval, estimate([0.49, 0.5, 0.51]).interval
    np.testing.assert_allclose(middle, plain, atol=2e-4)
