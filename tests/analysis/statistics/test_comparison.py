import math

import numpy as np
import pytest

from lrtool.analysis.statistics.comparison import compare, difference, holm, median_interval
from lrtool.analysis.statistics.student import estimate, seeds_needed


def drawn(rng, difference, seeds, shared=1.0, own=0.5):
    """Two variants that share the luck of each seed; the second is worse by `difference`."""
    luck = rng.normal(0, shared, seeds)
    a, b = 5 + luck + rng.normal(0, own, seeds), 5 + difference + luck + rng.normal(0, own, seeds)
    return dict(enumerate(a)), dict(enumerate(b))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("truth", [0.0, 0.4])
def test_intervals_cover_the_truth_and_equal_variants_are_rarely_told_apart(seeds, truth):
    rng = np.random.default_rng(seeds)
    covered = told = means = 0
    repeats = 800
    for _ in range(repeats):
        a, b = drawn(rng, truth, seeds)
        standing = compare({"a": a, "b": b}).standings[1]
        sign = 1 if standing.name == "b" else -1
        low, high = standing.to_best.estimate.interval
        covered += low <= sign * truth <= high
        told += standing.to_best.significant
        low, high = estimate(list(a.values())).interval
        means += low <= 5 <= high
    assert 0.93 <= covered / repeats <= 0.97 and 0.93 <= means / repeats <= 0.97
    if truth == 0:
        # The share itself is 5%; two standard errors of 800 draws are 1.5 points.
        assert told / repeats <= 0.065


@pytest.mark.slow
def test_the_best_of_many_equal_variants_is_rarely_told_apart_from_any():
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(300):
        table = rng.normal(size=(6, 5))
        result = compare({str(name): dict(enumerate(row)) for name, row in enumerate(table)})
        wrong += any(standing.to_best.significant for standing in result.standings[1:])
    assert wrong / 300 <= 0.05


def test_the_probability_of_being_better_is_calibrated():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(800):
        a, b = drawn(rng, 0.0, 5)
        found.append(difference("a", a, "b", b).better)
    # For equal variants it is as likely below 10% as it says.
    assert 0.07 <= np.mean(np.array(found) < 0.1) <= 0.13 and 0.47 <= np.mean(found) <= 0.53


def test_pairing_finds_what_the_spread_over_seeds_would_hide():
    luck = np.array([0.0, 3.0, -2.0, 5.0, 1.0])
    a, b = dict(enumerate(luck)), dict(enumerate(luck + np.array([0.5, 0.6, 0.4, 0.5, 0.55])))
    result = compare({"b": b, "a": a})
    assert result.best.name == "a" and result.standings[1].to_best.significant
    gap = result.standings[1].to_best
    assert gap.estimate.mean == pytest.approx(0.51) and gap.better < 0.01
    assert gap.percent == pytest.approx(100 * 0.51 / 1.4)
    low, high = gap.percent_interval
    assert low < gap.percent < high


def test_more_is_better_where_it_is_said():
    result = compare({"a": {0: 0.9, 1: 0.91, 2: 0.92}, "b": {0: 0.8, 1: 0.82, 2: 0.85}}, higher_is_better=True)
    assert result.best.name == "a" and result.standings[1].to_best.better < 0.5


def test_differences_are_over_the_seeds_that_both_have():
    found = difference("a", {0: 1.0, 1: 2.0, 5: 100.0}, "b", {1: 1.0, 0: 0.5, 9: -100.0})
    assert found.estimate.count == 2 and found.estimate.mean == 0.75
    nothing = difference("a", {0: 1.0}, "b", {1: 1.0})
    assert nothing.estimate.count == 0 and nothing.p is None and not nothing.significant


def test_a_variant_that_diverged_comes_last_and_says_so():
    result = compare({"wild": {0: 0.1, 1: math.nan, 2: 0.1}, "tame": {0: 1.0, 1: 1.1, 2: 0.9}})
    assert [standing.name for standing in result.standings] == ["tame", "wild"]
    last = result.standings[1]
    assert last.diverged == 1 and last.estimate.count == 2 and last.to_best.diverged == (1, 0)
    assert last.to_best.p is None and not last.to_best.significant


def test_one_seed_says_nothing_about_noise():
    standing = compare({"a": {0: 1.0}, "b": {0: 2.0}}).standings[1]
    assert standing.estimate.interval is None and standing.to_best.needed is None and not standing.to_best.significant
    assert standing.to_best.estimate.mean == 1.0 and standing.to_best.percent == 100


def test_the_median_lies_in_its_interval_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    for seeds in (6, 10, 20, 35):
        values = rng.exponential(size=(4000, seeds))
        ends = np.array([median_interval(row) for row in values])
        covered = np.mean((ends[:, 0] <= np.log(2)) & (np.log(2) <= ends[:, 1]))
        # Its own distribution is discrete, so it covers at least that much.
        assert 0.943 <= covered <= 0.985
    assert median_interval(range(5)) is None and median_interval([]) is None
    assert median_interval([*range(12), math.inf, math.inf]) == (2.0, 11.0)


def test_holm_steps_down_and_never_falls():
    assert holm([0.01, 0.02, 0.03], 3) == [0.03, 0.04, 0.04]
    assert holm([0.5, None, 0.9], 3) == [1.0, None, 1.0]
    assert holm([], 0) == []


def test_no_variant_or_no_seed_is_an_error():
    for variants in ({}, {"a": {}}):
        with pytest.raises(ValueError, match="at least one seed"):
            compare(variants)


def test_as_many_seeds_as_are_said_to_be_needed_tell_among_many_variants():
    rng = np.random.default_rng(5)
    needed = seeds_needed(0.6, np.sqrt(0.5), 0.05 / 15)
    told = []
    for _ in range(300):
        table = np.array([0.0, 0.6, 3, 4, 5, 6])[:, None] + rng.normal(size=needed) + rng.normal(0, 0.5, (6, needed))
        found = compare({str(name): dict(enumerate(row)) for name, row in enumerate(table)})
        told.append(all(each.to_best.significant for each in found.standings[1:]))
    assert 0.74 <= np.mean(told) <= 0.95
    assert seeds_needed(0.6, np.sqrt(0.5)) < needed


def test_more_seeds_than_there_are_would_be_needed_where_two_cannot_be_told():
    rng = np.random.default_rng(6)
    untold = []
    for _ in range(200):
        table = np.array([0.0, 0.8, 1.0, 1.2])[:, None] + rng.normal(size=6) + rng.normal(0, 0.5, (4, 6))
        found = compare({str(name): dict(enumerate(row)) for name, row in enumerate(table)})
        untold += [each.to_best for each in found.standings[1:] if not each.to_best.significant]
    assert len(untold) > 50 and all(each.needed > 6 for each in untold)
