"""The refined schedule: its formula, what is degenerate, and that it is the best for the bound."""

import math

import numpy as np
import pytest

from lrtool.errors import UsageError
from lrtool.theory.bound import last_iterate_bound
from lrtool.theory.refine import refined_schedule


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_constant_norms_give_a_linear_decay(power):
    found = refined_schedule(np.full(101, 3.7), power)
    assert found == pytest.approx(1 - np.arange(101) / 100)


def test_it_is_the_formula():
    norms = np.array([4.0, 2.0, 1.0, 2.0, 0.5])
    weights = 1 / norms**2
    plain = np.array([weights[t] * weights[t + 1 :].sum() for t in range(5)])
    assert refined_schedule(norms, smooth=False) == pytest.approx(plain / plain.max())


def test_norms_are_smoothed_by_a_median_with_reflected_ends():
    """Of 40 updates the filter is 5 wide: single spikes vanish, also at the ends."""
    norms = np.ones(40)
    norms[[0, 1, 20, 39]] = 100.0
    padded = np.concatenate([norms[1::-1], norms, norms[:-3:-1]])
    medians = np.array([np.median(padded[t : t + 5]) for t in range(40)])
    assert refined_schedule(norms) == pytest.approx(refined_schedule(medians, smooth=False))


def test_falling_norms_warm_up_and_rising_ones_decay_faster():
    falling = refined_schedule(np.geomspace(10, 1, 300))
    assert falling.argmax() > 50 and falling[0] < 0.2
    rising = refined_schedule(np.geomspace(1, 10, 300))
    assert rising.argmax() == 0 and rising[150] < 0.1


def test_it_has_a_lower_bound_than_the_usual_schedules():
    norms = np.geomspace(8, 1, 400) * (1 + 0.3 * np.sin(np.arange(400) / 40))
    refined = last_iterate_bound(refined_schedule(norms, smooth=False), norms).omega
    others = [1 - np.arange(400) / 400, np.ones(400), (1 + np.cos(np.pi * np.arange(400) / 400)) / 2]
    assert refined < min(last_iterate_bound(each, norms).omega for each in others)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_are_defined(steps):
    found = refined_schedule(np.ones(steps))
    assert found.shape == (steps,) and found.max() == 1 and np.isfinite(found).all()


def test_huge_ranges_do_not_overflow():
    found = refined_schedule(np.geomspace(1e-200, 1e200, 50))
    assert np.isfinite(found).all() and found.max() == 1


@pytest.mark.parametrize("norms", [[], [1.0, math.nan], [1.0, -1.0], [[1.0]], [math.inf], [0.0, 0.0]])
def test_what_cannot_be(norms):
    with pytest.raises(UsageError):
        refined_schedule(norms)
