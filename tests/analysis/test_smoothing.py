import numpy as np
import pytest

from lrtool.analysis.smoothing import exponential, local_line


def test_exponential_is_the_textbook_formula():
    losses = np.array([4.0, 2.0, 1.0])
    assert exponential(losses, 0.5) == pytest.approx([4.0, (0.5 * 2 + 0.25 * 4) / 0.75, (0.5 + 0.5 + 0.5) / 0.875])
    assert exponential(losses, 0.5, correct_bias=False) == pytest.approx([4.0, 3.0, 2.0])


def test_exponential_of_a_constant_is_the_constant_and_0_leaves_losses_alone():
    assert exponential(np.full(50, -3.0), 0.98) == pytest.approx(np.full(50, -3.0))
    losses = np.random.default_rng(0).normal(size=(2, 20))
    np.testing.assert_allclose(exponential(losses, 0.0), losses)


def test_exponential_smooths_every_seed_alone_and_is_nan_after_it_stopped():
    losses = np.random.default_rng(0).normal(size=(2, 20))
    losses[1, 12:] = np.nan
    smoothed = exponential(losses, 0.9)
    np.testing.assert_array_equal(np.isfinite(smoothed), np.isfinite(losses))
    np.testing.assert_allclose(smoothed[0], exponential(losses[0], 0.9))


@pytest.mark.parametrize("beta", [-0.1, 1.0, np.nan])
def test_exponential_refuses_a_beta_outside_0_to_1(beta):
    with pytest.raises(ValueError, match="beta"):
        exponential([1.0], beta)


@pytest.mark.parametrize("span", [2, 5, 9, 100])
def test_local_line_reproduces_a_line_up_to_both_ends(span):
    level, slope = local_line(3.0 - 0.25 * np.arange(40), span)
    np.testing.assert_allclose(level, 3.0 - 0.25 * np.arange(40), atol=1e-9)
    np.testing.assert_allclose(slope, -0.25, atol=1e-9)


def test_local_line_ignores_an_outlier_and_a_plain_fit_does_not():
    clean = 2.0 + 0.01 * np.random.default_rng(0).normal(size=60)
    spoiled = clean.copy()
    spoiled[30] = 100.0
    assert np.abs(local_line(spoiled, 11)[0] - 2.0).max() < 0.05
    assert np.abs(local_line(spoiled, 11, robust=0)[0] - 2.0).max() > 5


def test_local_line_does_not_lag_where_an_exponential_mean_does():
    steps = np.arange(100)
    losses = (steps - 50.0) ** 2
    assert np.argmin(local_line(losses, 9)[0]) == 50
    assert np.argmin(exponential(losses, 0.98)) > 65


def test_local_line_is_nan_at_the_tail_only():
    losses = np.random.default_rng(0).normal(size=50)
    padded = np.concatenate([losses, np.full(10, np.nan)])
    level, slope = local_line(padded, 9)
    np.testing.assert_allclose(level[:50], local_line(losses, 9)[0])
    assert np.isnan(level[50:]).all() and np.isnan(slope[50:]).all()
    assert np.isnan(local_line(np.full(5, np.nan), 9)[0]).all()
    assert local_line([1.5], 9)[0] == pytest.approx([1.5])
