import warnings

import numpy as np
import pytest

from lrtool.analysis.lr_fit import NoAnswer, _averaged, fit_response

LR = np.geomspace(1e-4, 1.0, 13)
BEST = 0.03


def log_loss(lr):
    """A parabola in log LR with a wall on the right, as real responses look."""
    d = np.log(lr) - np.log(BEST)
    return np.log(0.1) + 0.08 * d**2 + np.where(d > 2, 1.5 * (d - 2) ** 2, 0.0)


def measured(seeds, noise, rng, lr=LR):
    offsets = rng.normal(0, 0.05, seeds)
    return np.exp(log_loss(lr)[:, None] + offsets + noise * rng.standard_normal((len(lr), seeds)))


def regret(lr):
    return np.exp(log_loss(lr) - np.log(0.1)) - 1


@pytest.mark.parametrize(("seeds", "noise", "worst"), [(1, 0.01, 0.01), (3, 0.05, 0.05), (5, 0.1, 0.06)])
def test_the_chosen_lr_costs_little(seeds, noise, worst):
    rng = np.random.default_rng(1)
    costs = []
    for _ in range(20):
        response = fit_response(LR, measured(seeds, noise, rng))
        assert response.lr is not None
        costs.append(regret(response.lr))
    assert np.max(costs) <= worst


def test_the_interval_holds_the_best_lr_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    hits = [low <= BEST <= high for low, high in (fit_response(LR, measured(4, 0.1, rng)).interval for _ in range(60))]
    assert np.mean(hits) >= 0.85


def test_diverged_trials_count_as_bad_and_not_as_missing():
    losses = measured(3, 0.02, np.random.default_rng(3))
    losses[LR > 0.05] = np.nan
    response = fit_response(LR, losses)
    assert response.lr < 0.06
    assert response.edge is None


def test_the_order_of_the_points_does_not_matter():
    losses = measured(3, 0.05, np.random.default_rng(4))
    shuffle = np.random.default_rng(0).permutation(len(LR))
    assert fit_response(LR[shuffle], losses[shuffle]).lr == pytest.approx(fit_response(LR, losses).lr)


def test_a_minimum_at_the_end_of_the_tested_lrs_is_called_an_edge():
    rng = np.random.default_rng(5)
    low, high = LR[LR > 0.1], LR[LR < 0.005]
    assert fit_response(low, measured(3, 0.01, rng, low)).edge == "low"
    response = fit_response(high, measured(3, 0.01, rng, high))
    assert response.edge == "high"
    assert response.interval[1] == np.inf and response.within_noise[1] == np.inf


def test_negative_losses_are_fitted_too():
    losses = np.log(measured(3, 0.05, np.random.default_rng(6))) - 5
    assert losses.max() < 0
    assert regret(fit_response(LR, losses).lr) < 0.1


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        (np.full((13, 3), np.nan), NoAnswer.ALL_DIVERGED),
        (np.where(np.arange(13)[:, None] < 2, 1.0, np.inf) * np.ones((13, 3)), NoAnswer.TOO_FEW),
        (1 + 0.01 * np.random.default_rng(7).standard_normal((13, 3)), NoAnswer.FLAT),
        (np.ones((13, 3)), NoAnswer.FLAT),
    ],
)
def test_no_number_is_invented(losses, reason):
    response = fit_response(LR, losses)
    assert response.reason is reason
    assert response.lr is None and response.interval is None and response.expected is None


def test_more_noise_widens_what_cannot_be_told_apart():
    def width(noise):
        low, high = fit_response(LR, measured(3, noise, np.random.default_rng(8))).within_noise
        return np.log(high / low)

    assert width(0.2) > width(0.02)


def test_losses_that_are_alike_still_give_an_lr_where_the_loss_is_known_to_depend_on_it():
    near = BEST * 1.1 ** np.arange(-3, 4)
    losses = measured(3, 0.05, np.random.default_rng(5), near)
    assert fit_response(near, losses).reason is NoAnswer.FLAT
    response = fit_response(near, losses, matters=True)
    assert near[0] <= response.lr <= near[-1]
    assert response.reason is None and response.interval is not None


def test_seeds_that_agree_show_an_effect_that_the_noise_of_large_lrs_would_hide():
    # Small LRs learn nothing, all seeds alike; large ones learn much, each seed differently (tanh on two spirals).
    losses = np.array([
        [0.614, 0.611, 0.607], [0.610, 0.605, 0.602], [0.603, 0.592, 0.592], [0.585, 0.551, 0.542],
        [0.425, 0.464, 0.386], [0.355, 0.334, 0.198], [0.383, 0.167, 0.060], [0.557, 0.120, 0.323],
    ])  # fmt: skip
    found = fit_response(0.00716 * 2.0 ** np.arange(8), losses)
    assert found.reason is None and 0.2 < found.lr < 0.92


@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
def test_losses_without_any_effect_seldom_name_an_lr(seeds):
    rng = np.random.default_rng(seeds)
    lr = 0.01 * 2.0 ** np.arange(8)
    named = [fit_response(lr, np.exp(0.1 * rng.standard_normal((8, seeds)))).lr is not None for _ in range(400)]
    assert np.mean(named) < 0.025


def test_the_choice_lies_in_its_interval_also_next_to_the_end_of_the_grid():
    losses = np.array([
        [0.653, 0.642, 0.647], [0.62, 0.619, 0.615], [0.612, 0.612, 0.607], [0.6, 0.597, 0.587],
        [0.584, 0.571, 0.548], [0.547, 0.525, 0.428], [0.37, 0.428, 0.354], [0.275, 0.349, 0.35],
        [0.046, 0.263, 0.018], [0.343, 0.67, 0.551],
    ])  # fmt: skip
    lr = np.array([2.7e-4, 1.1e-3, 4.3e-3, 0.0172, 0.0344, 0.0688, 0.138, 0.275, 0.551, 1.1])
    found = fit_response(lr, losses)
    assert found.interval[0] <= found.lr <= found.interval[1]
    assert 0.4 < found.lr < 0.7


def test_an_interval_is_no_finer_than_the_lrs_that_were_tried():
    lr = 0.04 * 1.5 ** np.arange(7)
    # A sharp kink at 0.135 that every refit reproduces.
    losses = (0.06 + 0.1 * np.abs(np.log(lr / 0.135)))[:, None] + 1e-4 * np.random.default_rng(0).random((7, 4))
    found = fit_response(lr, losses)
    assert found.interval[0] <= found.lr / 1.1 and found.interval[1] >= found.lr * 1.1
    assert found.within_noise[0] <= found.interval[0] and found.within_noise[1] >= found.interval[1]


def test_minima_that_agree_to_rounding_are_no_reason_for_a_number_that_is_none():
    lr = 0.01 * 2.0 ** np.arange(6)
    losses = np.array([0.9, 0.6, 0.4, 0.2, 0.5, 0.8])[:, None] * np.array([1.0, 1.0 + 1e-12, 1.0 - 1e-12])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_response(lr, losses)
    assert found.lr is not None and 0.04 < found.lr < 0.16
    grid = np.linspace(0.1, 1.7, 60)
    fit = (grid - 1) ** 2
    for width in (0.0, 1e-17, 1e-9, 1e-4):
        assert np.isfinite(_averaged(grid, fit, width)).all()


@pytest.mark.parametrize("rounding", [0.0, 1e-16, 1e-8])
@pytest.mark.parametrize("seed", range(5))
def test_losses_that_only_seeds_and_rounding_tell_apart_do_not_depend_on_the_lr(rounding, seed):
    # As with frozen weights: each seed has the same loss at every LR, and seeds differ.
    rng = np.random.default_rng(seed)
    losses = np.tile(rng.uniform(0.6, 0.8, 3), (9, 1)) * (1 + rounding * rng.standard_normal((9, 3)))
    assert fit_response(np.geomspace(1e-3, 1, 9), losses).reason is NoAnswer.FLAT


GRID = 0.01 * 1.5 ** np.arange(7)


def repeated(response, seeds=3, noise=0.02, repeats=40, grid=GRID):
    """Fits of losses whose log is `response(ln LR)`, NaN where that is infinite, each with its (LRs, losses)."""
    for repeat in range(repeats):
        rng = np.random.default_rng(repeat)
        lr = grid * np.exp(rng.uniform(-0.3, 0.3))
        log = response(np.log(lr))[:, None] + rng.normal(0, 0.05, seeds) + noise * rng.standard_normal((len(lr), seeds))
        losses = np.where(np.isfinite(log), np.exp(log), np.nan)
        yield fit_response(lr, losses, matters=True), losses


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("seeds", [1, 3, 8])
def test_beside_a_cliff_the_interval_reaches_to_where_it_may_be(slope, seeds):
    # The best LR is the last one before the cliff, which lies somewhere between two that were tried.
    edge = np.log(0.04)
    hits = []
    for found, _ in repeated(lambda x: np.where(x > edge, np.inf, -slope * (x - edge)), seeds, 0.01):
        low, high = found.interval
        hits.append(low <= np.exp(edge) and slope * max(0.0, edge - np.log(high)) <= np.log(1.01))
    assert np.mean(hits) >= 0.85


@pytest.mark.parametrize("slope", [0.3, 1.0, 3.0])
def test_beside_an_elbow_the_fit_stays_above_what_was_measured_and_the_interval_on_the_floor(slope):
    corner = np.log(0.03)
    for found, losses in repeated(lambda x: slope * np.maximum(corner - x, 0), noise=0.005):
        assert found.fit.min() >= losses.mean(axis=1).min() * 0.98
        assert slope * (corner - np.log(found.lr)) <= np.log(1.02)
        assert found.interval[1] > 0.03


def test_of_two_valleys_one_is_chosen_and_not_the_hump_between():
    def response(x):
        d = x - np.log(GRID[2])
        return np.minimum(0.5 * d**2, 0.02 + 0.5 * (d - 1.3) ** 2)

    for found, _ in repeated(response, seeds=4, noise=0.01):
        assert response(np.log(found.lr)) < 0.08


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_the_expected_loss_is_what_the_losses_bear(seeds):
    rng, announced = np.random.default_rng(seeds), []
    for _ in range(60):
        # Nothing but noise, of which the lowest mean is the luckiest.
        losses = np.exp(0.1 * rng.standard_normal((7, seeds)))
        found = fit_response(GRID, losses, matters=True)
        error = losses.std(axis=1, ddof=1) / np.sqrt(seeds) if seeds > 1 else 0.1
        assert found.fit.min() >= (losses.mean(axis=1) - 2 * np.max(error)).min()
        announced.append(found.expected)
    assert np.mean(announced) == pytest.approx(np.exp(0.005), abs=0.05)


def test_the_expected_loss_is_the_mean_of_losses_and_not_of_their_logarithms():
    losses = np.exp(0.3 * (np.log(GRID / GRID[3]) ** 2)[:, None]) * np.tile([0.5, 0.5, 0.5, 2.5], (7, 1))
    assert fit_response(GRID, losses).expected == pytest.approx(1.0, rel=0.02)


def test_a_seed_that_diverges_at_every_lr_is_counted_and_changes_nothing_else():
    losses = measured(3, 0.02, np.random.default_rng(0))
    known, found = fit_response(LR, losses), fit_response(LR, np.column_stack([losses, np.full(len(LR), np.nan)]))
    assert (known.lost_seeds, found.lost_seeds) == (0, 1)
    assert (found.lr, found.interval, found.expected) == (known.lr, known.interval, known.expected)


def test_the_unit_of_the_loss_does_not_matter():
    losses = measured(3, 0.05, np.random.default_rng(1))
    known = fit_response(LR, losses)
    large = fit_response(LR, 1e6 * losses)
    assert large.lr == pytest.approx(known.lr) and large.expected == pytest.approx(1e6 * known.expected)
    below, scaled = fit_response(LR, losses - 9), fit_response(LR, 1e3 * (losses - 9))
    assert scaled.lr == pytest.approx(below.lr) and scaled.expected == pytest.approx(1e3 * below.expected)


def test_where_seeds_diverge_at_different_lrs_the_choice_keeps_away_from_where_some_do():
    lr = 0.01 * 2.0 ** np.arange(6)
    losses = np.exp(-0.15 * np.log(lr / lr[0]))[:, None] * np.exp(0.01 * np.random.default_rng(2).normal(size=(6, 4)))
    losses[4, 1] = losses[5] = np.nan
    assert fit_response(lr, losses).lr < lr[3] * 1.15
