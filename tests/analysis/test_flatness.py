"""Whether losses depend on the LR: with one seed, which has no other to be held against, and with several."""

import numpy as np
import pytest

from lrtool.analysis.flatness import is_flat

NAN = float("nan")
SHAPES = {
    "a bowl": [2.3, 2.2, 1.6, 0.9, 0.5, 0.7, 1.9],
    "a narrow one": [2.3, 2.3, 2.28, 2.0, 0.9, 0.5, 2.3],
    "a cliff": [2.3, 2.25, 2.0, 1.2, 0.6, NAN, NAN],
    "many LRs": [2.3, 2.29, 2.3, 2.2, 1.9, 1.2, 0.7, 0.6, 1.8, 2.3, 2.3],
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
def test_one_seed_shows_a_clear_minimum(name, noise):
    losses = np.array(SHAPES[name])[:, None]
    draws = np.random.default_rng(0).standard_normal((20, *losses.shape))
    assert not any(is_flat(losses * np.exp(noise * draw)) for draw in draws)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("lrs", [5, 7, 11])
@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_noise_rarely_passes_for_a_difference(lrs, seeds, noise):
    draws = np.random.default_rng(0).standard_normal((300, lrs, seeds))
    assert sum(not is_flat(np.exp(noise * draw)) for draw in draws) <= 0.08 * 300


def test_one_lucky_lr_is_no_minimum():
    assert is_flat(np.array([2.3, 2.3, 2.3, 2.3, 0.5, 2.3, 2.3])[:, None])


def test_what_differs_by_rounding_is_alike():
    assert is_flat(1 + 1e-8 * np.arange(7.0)[:, None]) and is_flat(np.zeros((7, 2)))
