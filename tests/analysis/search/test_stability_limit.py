import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrtool.analysis.search.stability_limit import LimitSearch, rise, starting_losses

LEARNED, ALIKE, BROKEN = -10.0, 0.5, math.inf
START = np.array([2.0, 2.1, 1.9, 2.0, 2.05, 1.95, 2.0, 2.0])


def searched(limits, start):
    """Search where the seeds break down above these LRs; the estimate, and how many trainings it took."""
    search, trained = LimitSearch(start), 0
    while wanted := search.wanted():
        assert wanted == sorted(wanted)
        for lr in wanted:
            for seed, limit in enumerate(limits):
                search.tell(lr, seed, BROKEN if lr > limit else LEARNED)
                trained += 1
    return search.estimate(), trained


@pytest.mark.parametrize("start", [0.1, 0.013, 0.9, 1e-3, 30.0])
@pytest.mark.parametrize("limit", [0.1, 0.17])
def test_the_limit_is_found_within_its_interval_wherever_the_search_starts(start, limit):
    found, trained = searched([limit] * 3, start)
    assert found.low <= limit <= found.high and found.high / found.low <= 1.5
    assert 0.8 < found.value / limit < 1.25
    assert trained <= 3 * (7 + 9 + 1)


def test_seeds_that_differ_give_the_median_and_the_span():
    found, _ = searched([0.05, 0.2, 0.8], 0.1)
    assert 0.15 < found.value < 0.27
    assert found.low <= 0.05 and found.high >= 0.8


def test_where_one_seed_trains_at_no_lr_the_limit_lies_in_its_interval_or_is_not_known():
    assert searched([0.0, 0.2], 0.1)[0] is None
    found, _ = searched([0.0, 0.2, 0.3], 0.1)
    assert found.low == 0 and 0.1 < found.value <= found.high


@given(
    start=st.floats(1e-6, 1e3),
    told=st.lists(
        st.lists(st.sampled_from([LEARNED, ALIKE, 3.0, BROKEN]), min_size=20, max_size=20), min_size=1, max_size=4
    ),
)
@settings(max_examples=100, deadline=None)
def test_the_limit_lies_in_its_interval_whatever_trainings_do(start, told):
    search, place = LimitSearch(start), 0
    while wanted := search.wanted():
        for lr in wanted:
            for seed, rises in enumerate(told):
                search.tell(lr, seed, rises[place % 20])
            place += 1
    found = search.estimate()
    assert found is None or 0 <= found.low <= found.value <= found.high


def test_where_nothing_breaks_down_the_limit_is_open():
    found, _ = searched([math.inf] * 2, 0.1)
    assert math.isinf(found.high) and found.value == found.low >= 0.8 * 2**9


def test_where_nothing_trains_there_is_no_limit():
    assert searched([0.0] * 2, 0.1)[0] is None


def test_a_training_above_a_broken_one_does_not_count():
    # At 0.2 it breaks down, at 0.4 it happens not to.
    search = LimitSearch(0.1)
    while wanted := search.wanted():
        for lr in wanted:
            search.tell(lr, 0, BROKEN if 0.15 < lr < 0.3 or lr > 0.5 else LEARNED)
    assert search.estimate().high <= 0.2


def test_a_training_that_ends_where_it_starts_is_broken_only_where_a_smaller_lr_learned():
    search = LimitSearch(0.1)
    while wanted := search.wanted():
        for lr in wanted:
            # Too small to learn anything, then good, then a network that is constant.
            search.tell(lr, 0, ALIKE if lr < 0.04 or lr > 0.3 else LEARNED)
    found = search.estimate()
    assert 0.2 <= found.low <= 0.3 <= found.high <= 0.4


@pytest.mark.parametrize(
    ("losses", "low", "high"),
    [
        (np.linspace(2, 1, 50), -math.inf, -10),
        (np.linspace(2, 2.5, 50), 10, 1e6),
        (np.full(50, 2.01), 0, 1),  # within the noise of the start
        (np.linspace(2, 1, 30), math.inf, math.inf),  # stopped early
        (np.append(np.linspace(2, 1, 49), np.nan), math.inf, math.inf),
        (np.append(np.linspace(2, 1, 25), np.geomspace(1, 1e6, 25)), 1e6, math.inf),
    ],
)
def test_how_far_above_its_start_a_training_ends(losses, low, high):
    assert low <= rise(losses, 50, START) <= high


def test_a_start_may_be_known_in_part_or_without_noise():
    assert rise(np.full(50, 2.01), 50, np.append(START, np.nan)) == rise(np.full(50, 2.01), 50, START)
    assert rise(np.full(50, 2.0), 50, np.full(8, 2.0)) == 0
    assert rise(np.full(50, 2.1), 50, np.full(8, 2.0)) > 10


def test_only_the_first_losses_are_the_start():
    assert starting_losses(np.arange(100.0)).tolist() == list(range(8))
