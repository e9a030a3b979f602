import numpy as np
import pytest

from lrtool.analysis.comparable import CEILING, Scale, means

X = np.log([0.1, 0.2, 0.4])


@pytest.mark.parametrize("shift", [0.0, -5.0])
def test_losses_come_back_from_the_scale(shift):
    losses = np.array([[1.0, 1.1], [1.2, 1.3], [1.3, 1.4]]) + shift
    scale = Scale.of(losses)
    np.testing.assert_allclose(scale.back(scale.to(losses)), losses)


@pytest.mark.parametrize("shift", [0.0, -5.0])
def test_bad_and_diverged_losses_are_alike(shift):
    losses = np.array([[1.0], [1.2], [1e6], [np.nan], [np.inf]]) + shift
    y = Scale.of(losses).to(losses)
    assert y[2] == y[3] == y[4] == pytest.approx(y.min() + CEILING)


def test_the_mean_is_that_of_losses_with_what_seeds_add_taken_out():
    # The second seed is twice the first at every LR; its mean is not less exact for that.
    losses = np.array([1.0, 1.5, 2.0])[:, None] * np.array([1.0, 2.0]) * np.array([[1, 1], [1.001, 1], [1, 1.001]])
    found = means(X, losses, Scale.of(losses))
    np.testing.assert_allclose(np.exp(found.mean - found.mean[0]), [1, 1.5, 2], rtol=2e-3)
    assert found.error.max() < 2e-3 and found.seeds == 2 and found.spare >= 1


def test_a_single_seed_has_no_errors_and_says_so():
    found = means(X, np.array([[1.0], [2.0], [np.nan]]), Scale.of(np.array([[1.0], [2.0], [np.nan]])))
    assert found.spare == 0 and not found.error.any()
    np.testing.assert_array_equal(found.lost, [0, 0, 1])
