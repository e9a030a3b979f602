import numpy as np
import pytest

from lrtool.analysis.comparable import Scale, means
from lrtool.analysis.two_sided import TwoSided, _every_shape, _interpolated, _solved

X = np.log(0.01 * 2.0 ** np.arange(7))


def curves(log_losses, seeds=4, noise=0.01, count=200):
    rng = np.random.default_rng(0)
    losses = np.exp(log_losses[:, None] + noise * rng.standard_normal((len(X), seeds)))
    losses[np.isinf(log_losses)] = np.nan
    grid = np.linspace(X[0], X[-1], 121)
    return grid, TwoSided(means(X, losses, Scale.of(losses))).draw(grid, count, rng)[0]


def test_systems_of_three_are_solved():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(50, 3, 3))
    a = a @ a.transpose(0, 2, 1) + np.eye(3)
    b = rng.normal(size=(50, 3))
    upper = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    solution, inverse, volume = _solved(tuple(a[:, i, j] for i, j in upper), tuple(b.T))
    np.testing.assert_allclose(np.transpose(solution), np.linalg.solve(a, b[..., None])[..., 0], rtol=1e-9)
    np.testing.assert_allclose(volume, np.linalg.det(a))
    for (i, j), found in zip(upper, inverse, strict=True):
        np.testing.assert_allclose(found, np.linalg.inv(a)[:, i, j], rtol=1e-9, atol=1e-12)


def test_every_shape_has_one_floor_and_rises_away_from_it():
    at = np.linspace(0, 6, 61)
    fall, rise = _every_shape(np.arange(7.0), 4).branches(at)
    assert (np.diff(fall, axis=1) <= 0).all() and (np.diff(rise, axis=1) >= 0).all()
    assert (fall >= 0).all() and (rise >= 0).all()


@pytest.mark.parametrize(
    "truth",
    [
        0.1 * (X - X[3]) ** 2,
        0.5 * np.maximum(X[3] - X, 0),
        np.where(X[4] < X, np.inf, -0.1 * (X - X[4])),
        np.where(X[4] < X, 0.8, 0.1 * (X[4] - X)),
    ],
    ids=["bowl", "elbow", "cliff", "step"],
)
def test_curves_pass_where_losses_were_measured(truth):
    grid, drawn = curves(truth)
    seen = np.isfinite(truth) & (truth < 0.5)
    at = [np.abs(grid - x).argmin() for x in X[seen]]
    np.testing.assert_allclose(drawn[:, at].mean(axis=0), truth[seen], atol=0.05)
    assert drawn[:, at].std(axis=0).max() < 0.05


def test_between_two_lrs_a_cliff_may_be_anywhere():
    grid, drawn = curves(np.where(X[4] < X, np.inf, -0.2 * (X - X[4])))
    part = (grid[drawn.argmin(axis=1)] - X[4]) / (X[5] - X[4])
    assert np.quantile(part, 0.1) < 0.3 and np.quantile(part, 0.9) > 0.7


def test_values_between_are_on_straight_lines_also_at_the_ends():
    x, values = np.array([0.0, 1.0, 3.0]), np.array([[1.0, 2.0, 0.0], [5.0, 5.0, 5.0]])
    at = np.array([0.0, 0.5, 2.0, 3.0])
    found = _interpolated(x, values, at, np.full(2, np.inf))
    np.testing.assert_allclose(found, [[1, 1.5, 1, 0], [5, 5, 5, 5]])
    # What stands beyond a cliff says nothing of this side.
    np.testing.assert_allclose(_interpolated(x, values, at, np.array([2.5, 0.2]))[0], [1, 1.5, 2, 0])
