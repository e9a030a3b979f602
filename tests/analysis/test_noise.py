import numpy as np
import pytest

from lrtool.analysis.evidence import gather
from lrtool.analysis.noise import Noise

LR = np.geomspace(1e-6, 10, 100)


def process(correlation, shape, seed=0, tails=1000):
    """An autoregressive process of the first order and variance 1 along the last axis."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_t(tails, size=(*shape[:-1], shape[-1] + 200))
    drawn *= np.sqrt((1 - correlation**2) * (tails - 2) / tails)
    for t in range(1, drawn.shape[-1]):
        drawn[..., t] += correlation * drawn[..., t - 1]
    return drawn[..., 200:]


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("seeds", [1, 6])
def test_variance_and_correlation_are_found_beside_a_trend(correlation, seeds):
    trend = 20 / (1 + np.exp(-np.linspace(-6, 6, 3000)))
    found = Noise.of(trend + process(correlation, (seeds, 3000)), 41)
    assert found.correlation == pytest.approx(correlation, abs=0.06)
    assert found.variance == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_variances_of_means_and_drops_are_those_of_many_curves(correlation):
    curves, noise = process(correlation, (20_000, 30)), Noise(1.0, correlation)
    assert noise.of_mean(12) == pytest.approx(curves[:, :12].mean(axis=1).var(), rel=0.05)
    drop = curves[:, :20].mean(axis=1) - curves[:, 20:].mean(axis=1)
    assert noise.of_drop(20, 10) == pytest.approx(drop.var(), rel=0.05)


def test_independent_noise_is_the_textbooks():
    assert Noise(4.0, 0.0).of_mean(16) == pytest.approx(0.25)
    assert Noise(4.0, 0.0).of_drop(16, 4) == pytest.approx(1.25)


def test_caution_makes_the_correlation_larger_and_no_noise_has_none():
    curves = process(0.3, (1, 100))
    assert Noise.of(curves, 12, caution=2).correlation > Noise.of(curves, 12).correlation
    assert Noise.of(np.ones((2, 50)), 12) == Noise(0.0, 0.0)


@pytest.mark.parametrize(("seeds", "correlation"), [(1, 0.8), (3, 0.6), (5, 0.95)])
@pytest.mark.parametrize("tails", [3, 1000])
def test_ramps_of_noise_that_lasts_are_seldom_taken_for_a_fall(seeds, correlation, tails):
    # Where each loss counted as independent, 40 to 80 of 100 were.
    ramps = process(correlation, (100, seeds, 100), tails=tails)
    assert sum(gather(LR, 2.3 + 0.1 * losses).falls for losses in ramps) <= 8


@pytest.mark.parametrize("correlation", [0.0, 0.5])
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_a_real_fall_is_found_in_such_noise(curves, seeds, correlation):
    lr, losses = curves.typical(seeds=seeds, noise=0.0, steps=100)
    found = [gather(lr, losses + 0.1 * process(correlation, (seeds, 100), seed)).falls for seed in range(20)]
    assert sum(found) >= 19
