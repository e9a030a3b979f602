import math

import numpy as np
import pytest

from lrtool.analysis.statistics.look import Look, look


def odd(draw, seeds, repeats=1500):
    rng = np.random.default_rng(seeds)
    return float(np.mean([look(dict(enumerate(draw(rng, seeds)))).odd for _ in range(repeats)]))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 8, 10, 20, 30])
def test_normal_seeds_rarely_look_odd(seeds):
    assert odd(lambda rng, n: rng.normal(size=n), seeds) <= 0.03
    assert odd(lambda rng, n: rng.uniform(size=n), seeds) <= 0.03
    # Values on a coarse grid, as accuracies over 360 samples.
    assert odd(lambda rng, n: rng.binomial(360, 0.95, n) / 360, seeds) <= 0.04


def one_off(rng, n):
    x = rng.normal(size=n)
    x[n // 2] += 10
    return x


def test_outliers_and_skew_are_seen():
    assert odd(one_off, 8) > 0.9 and odd(one_off, 20) > 0.99
    assert odd(lambda rng, n: rng.lognormal(0, 1, n), 30) > 0.8
    assert odd(lambda rng, n: rng.exponential(size=n), 30) > 0.55


def test_several_outliers_do_not_hide_each_other():
    values = np.random.default_rng(0).normal(size=20)
    values[[3, 7, 11]] = 9.0, -9.5, 10.0
    assert look(dict(enumerate(values))).outliers == (3, 7, 11)


def test_the_seed_is_named_whatever_the_scale():
    values = {10: 1e-12, 20: 1.1e-12, 30: 0.9e-12, 40: 1.05e-12, 50: 0.95e-12, 60: 1.02e-12, 70: 9e-12}
    assert look(values).outliers == (70,)
    assert look({seed: 1e6 + value * 1e13 for seed, value in values.items()}).outliers == (70,)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {0: 1.0, 1: 9.0},
        {0: 1.0, 1: 1.0, 2: 1.0, 3: 9.0},
        dict.fromkeys(range(9), 0.5),
        dict.fromkeys(range(9), 0.0),
        {**dict.fromkeys(range(9), 0.98), 9: 0.981},
        {**dict.fromkeys(range(5), math.nan), 5: 1.0, 6: math.inf},
    ],
)
def test_too_little_to_say(values):
    assert look(values) == Look()


def test_seeds_that_diverged_are_left_out():
    values = {0: 1.0, 1: 1.1, 2: math.nan, 3: 0.9, 4: 1.05, 5: 0.97, 6: 1.03, 7: 1.08, 8: 0.96}
    assert look(values) == Look()
    assert look({**values, 9: 30.0}).outliers == (9,)
