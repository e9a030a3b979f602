import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrtool.analysis.divergence import RANGE_TEST, DivergenceMonitor
from lrtool.analysis.range_test import analyse
from lrtool.analysis.range_test_result import Caveat, LrEstimate, Reason
from lrtool.analysis.suggest import METHODS


def stopped(losses):
    """NaN after the step at which each seed's test stops."""
    out = losses.copy()
    for row in out:
        at = DivergenceMonitor(RANGE_TEST).update(row)
        if at is not None:
            row[at + 1 :] = np.nan
    return out


def test_bounds_and_suggestion_of_a_typical_curve(curves):
    lr, losses = curves.typical(seeds=5, fall_at=1e-2, explode_at=0.5)
    result = analyse(lr, stopped(losses))
    assert result.reason is None and result.caveats == ()
    assert 5e-4 < result.lower.value < 1e-2
    assert 0.3 < result.upper.value < 2
    assert 0.3 < result.stability.value < 2
    assert result.lower.value < result.suggestion.value < result.upper.value
    assert result.suggestion.value == pytest.approx(METHODS["stability"](kind="stability").suggest(lr, losses).lr)


@pytest.mark.parametrize("explode_at", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("seed", range(5))
def test_suggestion_and_limit_move_with_the_explosion(curves, explode_at, seed):
    lr, losses = curves.typical(fall_at=explode_at / 50, explode_at=explode_at, noise=0.15, seed=seed)
    result = analyse(lr, stopped(losses), resamples=0)
    assert explode_at / 16 < result.suggestion.value < explode_at
    assert explode_at / 2 < result.stability.value < explode_at * 4


def test_every_estimate_lies_in_its_interval_and_noise_widens_it(curves):
    widths = []
    for noise in (0.02, 0.5):
        lr, losses = curves.typical(seeds=4, noise=noise)
        result = analyse(lr, losses)
        for estimate in (result.lower, result.upper, result.suggestion, result.stability):
            assert estimate.low <= estimate.value <= estimate.high
        widths.append(np.log(result.lower.high / result.lower.low))
    assert widths[0] < widths[1]


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [(0.0929, 0.156, 0.221), (0.3, 0.1, 0.2), (0.0, 0.0, 1.0), (np.nan, 0.0, 1.0), (1.0, np.nan, 2.0),
     (1.0, 0.5, np.nan), (np.inf, 1.0, np.inf), (1.0, -1.0, 2.0), (-1.0, -2.0, 1.0)],
)  # fmt: skip
def test_an_lr_outside_its_interval_cannot_be_made(value, low, high):
    with pytest.raises(ValueError, match="low <= value <= high"):
        LrEstimate(value, low, high)
    with pytest.raises(ValueError, match="low <= value <= high"):
        replace(LrEstimate(1.0, 0.5, 2.0), value=value, low=low, high=high)


lrs = st.floats(1e-12, 1e12)


@given(value=lrs, low=lrs, high=lrs, factor=st.floats(1e-9, 1e9), wider=st.floats(1, 1e3))
def test_whatever_is_done_to_an_estimate_its_lr_stays_inside(value, low, high, factor, wider):
    found = LrEstimate.around(value, min(low, high), max(low, high))
    for changed in (found.scaled(factor), found.widened(wider), found.scaled(factor).widened(wider)):
        assert changed.low <= changed.value <= changed.high


@st.composite
def ramps(draw):
    """Ramps of any kind: falling, rising, exploding, spiked, drifting, negative, short, with seeds that stop."""
    seeds, steps = draw(st.integers(1, 5)), draw(st.integers(1, 120))
    start, decades = 10 ** draw(st.floats(-9, 0)), draw(st.floats(0.1, 9))
    lr = np.geomspace(start, start * 10**decades, steps) if steps > 1 else np.array([start])
    rng, t = np.random.default_rng(draw(st.integers(0, 10**6))), np.linspace(0, 1, steps)
    noise = rng.standard_t(draw(st.sampled_from([1, 3, 30])), size=(seeds, steps)) * 10 ** draw(st.floats(-6, 1))
    noise = noise.cumsum(axis=1) if draw(st.booleans()) else noise
    fall, explode = draw(st.floats(-2, 3)), draw(st.floats(0, 1.2))
    curve = -fall / (1 + np.exp(-20 * (t - draw(st.floats(0, 1))))) + np.exp(np.clip(60 * (t - explode), -50, 300)) * (
        t > explode
    )
    losses = draw(st.floats(-3, 3)) + curve + noise
    for row in losses:
        if draw(st.booleans()):
            row[draw(st.integers(0, steps)) :] = np.nan
    return lr, losses


@given(ramps(), st.floats(1e-8, 1e4), st.floats(1, 1e3))
@settings(max_examples=60, deadline=None)
def test_every_estimate_of_any_ramp_lies_in_its_interval(ramp, limit, wider):
    result = analyse(*ramp, resamples=8)
    measured = result.limited(LrEstimate(limit, limit / wider, limit * wider))
    for said in (result, measured, result.limited(None), measured.cautioned()):
        for estimate in (said.lower, said.upper, said.suggestion, said.stability):
            assert estimate is None or 0 <= estimate.low <= estimate.value <= estimate.high
        assert (said.suggestion is None) == (said.reason is not None)
        json.dumps(said.summary(), allow_nan=False)


def test_where_the_limit_was_not_reached_nothing_bounds_the_suggestion(curves):
    lr, losses = curves.typical(steps=200, fall_at=1e-3)
    result = analyse(lr[lr < 0.3], losses[:, lr < 0.3])
    assert result.suggestion.high == np.inf and result.summary()["interval"][1] is None


def test_a_suggestion_read_off_the_ramp_follows_the_measured_limit(curves):
    lr, losses = curves.typical(steps=200, fall_at=1e-3)
    result = analyse(lr[lr < 0.3], losses[:, lr < 0.3])
    assert Caveat.NOT_EXPLODED in result.caveats
    limited = result.limited(LrEstimate(0.02, 0.01, 0.04))
    assert limited.suggestion.value == pytest.approx(0.02 / 8)
    assert limited.suggestion.low < 0.01 / 8 and limited.suggestion.high > 0.04 / 8
    assert Caveat.NOT_EXPLODED not in limited.caveats
    assert Caveat.NOT_EXPLODED in result.limited(LrEstimate(0.3, 0.3, np.inf)).caveats


def test_reading_twice_gives_the_same(curves):
    lr, losses = curves.typical(noise=0.3)
    assert analyse(lr, losses).summary() == analyse(lr, losses).summary()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_flat_curve_supports_no_suggestion(curves, seed, seeds):
    result = analyse(*curves.flat(seeds=seeds, seed=seed), resamples=0)
    assert result.suggestion is None and result.lower is None
    assert result.reason in (Reason.FLAT, Reason.ONLY_RISING)


def test_most_flat_curves_are_called_flat(curves):
    reasons = [analyse(*curves.flat(seed=seed), resamples=0).reason for seed in range(40)]
    assert reasons.count(Reason.FLAT) >= 32


def test_constant_loss_is_flat(curves):
    assert analyse(curves.ramp(60), np.full((2, 60), 0.5)).reason is Reason.FLAT


@pytest.mark.parametrize("seed", range(12))
def test_rising_curve_supports_no_suggestion_but_a_limit(curves, seed):
    lr, losses = curves.rising(seed=seed)
    result = analyse(lr, stopped(losses), resamples=0)
    assert result.suggestion is None and result.reason is Reason.ONLY_RISING
    assert 3e-4 < result.stability.value < 0.1


def test_all_seeds_diverged_at_once(curves):
    lr, losses = curves.typical()
    losses[:, 4:] = np.nan
    result = analyse(lr, losses)
    assert result.reason is Reason.ALL_DIVERGED
    assert "range_test.start" in result.reason.value
    assert result.summary()["suggested_lr"] is None
    assert result.stability is None and result.upper is None


def test_no_loss_at_all(curves):
    assert analyse(curves.ramp(50), np.full((3, 50), np.nan)).reason is Reason.ALL_DIVERGED


@pytest.mark.parametrize("steps", [1, 2, 10, 19])
def test_too_short(curves, steps):
    lr, losses = curves.typical(steps=steps) if steps > 1 else (np.array([0.1]), np.ones((2, 1)))
    assert analyse(lr, losses).reason is Reason.TOO_SHORT


def test_test_that_ends_as_the_fall_begins_asks_for_a_larger_end(curves):
    lr, losses = curves.typical(steps=200, noise=0.02)
    early = lr < 5e-3
    result = analyse(lr[early], losses[:, early])
    assert result.reason is Reason.STILL_FALLING and result.suggestion is None
    assert "range_test.end" in result.reason.value


def test_test_that_ends_before_the_explosion_says_so(curves):
    lr, losses = curves.typical(steps=200, fall_at=1e-3)
    early = lr < 0.3
    result = analyse(lr[early], losses[:, early])
    assert result.reason is None and Caveat.NOT_EXPLODED in result.caveats
    assert result.upper is None
    assert result.stability.high == np.inf
    assert result.suggestion.value < lr[early][-1]


def test_one_seed_has_an_interval_and_a_caveat(curves):
    result = analyse(*curves.typical(seeds=1, noise=0.2))
    assert Caveat.ONE_SEED in result.caveats
    assert result.lower.low < result.lower.high


def test_seed_that_ends_early_does_not_spoil_the_rest(curves):
    lr, losses = curves.typical(seeds=5)
    expected = analyse(lr, losses).suggestion.value
    for end in (60, 0):
        losses[2, end:] = np.nan
        result = analyse(lr, losses)
        assert expected / 3 < result.suggestion.value < expected * 3


@pytest.mark.parametrize(("factor", "offset"), [(1.0, -10.0), (1e4, 0.0), (1e-4, 3e-4)])
def test_unit_and_zero_of_the_loss_do_not_matter(curves, factor, offset):
    lr, losses = curves.typical(noise=0.2)
    one, other = analyse(lr, losses), analyse(lr, factor * losses + offset)
    for name in ("lower", "upper", "suggestion", "stability"):
        assert getattr(one, name).value == pytest.approx(getattr(other, name).value)


def test_what_comes_after_a_non_finite_loss_does_not_count(curves):
    lr, losses = curves.typical()
    losses[:, 80] = np.inf
    spoiled = losses.copy()
    spoiled[:, 81:] = -1e9
    losses[:, 81:] = np.nan
    assert analyse(lr, losses).summary() == analyse(lr, spoiled).summary()


def test_plot_data_is_complete(curves):
    lr, losses = curves.typical(seeds=3)
    losses = stopped(losses)
    result = analyse(lr, losses, smoothing=0.5)
    alive = np.isfinite(losses).any(axis=0)
    for curve in (result.mean, result.band_low, result.band_high):
        np.testing.assert_array_equal(np.isfinite(curve), alive)
    assert (result.band_low[alive] <= result.band_high[alive]).all()
    np.testing.assert_array_equal(np.isfinite(result.smoothed), np.isfinite(losses))
    assert result.smoothed[0, 1] == pytest.approx((0.5 * losses[0, 1] + 0.25 * losses[0, 0]) / 0.75)
    assert result.methods == {}
    assert set(analyse(lr, losses, resamples=0, methods=True).methods) == set(METHODS.kinds)


def test_summary_is_json(curves):
    for lr, losses in (curves.typical(), curves.flat(), curves.typical(steps=10)):
        summary = json.loads(json.dumps(analyse(lr, losses, resamples=5, methods=True).summary(), allow_nan=False))
        assert (summary["suggested_lr"] is None) == (summary["reason"] is not None)
        assert set(summary["methods"]) == set(METHODS.kinds)


@pytest.mark.parametrize(
    ("lr", "losses"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [[1.0, 2.0, 3.0]]),
        ([], [[]]),
        ([0.0, 1.0], [[1.0, 1.0]]),
        ([2.0, 1.0], [[1.0, 1.0]]),
        ([1.0, np.nan], [[1.0, 1.0]]),
    ],
)
def test_wrong_shapes_and_lrs_are_refused(lr, losses):
    with pytest.raises(ValueError, match=r"LRs|shape"):
        analyse(lr, losses)


@pytest.mark.parametrize(("factor", "said"), [(0.5, False), (1.0, False), (1.01, True), (30.0, True)])
def test_a_suggestion_above_the_limit_is_given_with_a_caveat(curves, factor, said):
    result = analyse(*curves.typical(), resamples=0)
    limit = result.stability.value
    result = replace(result, suggestion=LrEstimate(limit * factor, limit * factor, limit * factor)).cautioned()
    assert (Caveat.ABOVE_LIMIT in result.caveats) == said
    assert any("above the LR from which trainings" in caveat for caveat in result.summary()["caveats"]) == said


def test_without_a_limit_or_a_suggestion_there_is_nothing_to_be_above(curves):
    result = analyse(*curves.typical(), resamples=0)
    for changed in (replace(result, stability=None), replace(result, suggestion=None)):
        assert changed.cautioned() == changed


@pytest.mark.parametrize("kind", METHODS.kinds)
def test_any_method_can_give_the_suggestion(curves, kind):
    lr, losses = curves.typical(seeds=3)
    ramp = analyse(lr, stopped(losses), resamples=5, methods=True)
    found = ramp.suggesting(METHODS[kind](kind=kind))
    assert found.suggestion.value == found.methods[kind].lr == ramp.methods[kind].lr
    assert found.suggestion.low < found.suggestion.value < found.suggestion.high
    assert kind in found.source and found.reason is None
    assert (found.lower, found.upper, found.stability) == (ramp.lower, ramp.upper, ramp.stability)
    # A measured limit moves the ramp's own suggestion, but none that was chosen.
    limit = LrEstimate(1e-3, 1e-3, 1e-3)
    assert found.limited(limit).suggestion == found.suggestion and found.limited(limit).stability == limit
    assert ramp.limited(limit).suggestion != ramp.suggestion


def test_a_chosen_method_may_have_settings(curves):
    ramp = analyse(*curves.typical(), resamples=0)
    usual, half = (ramp.suggesting(METHODS["minimum"](divide=by)) for by in (10.0, 20.0))
    assert half.suggestion.value == pytest.approx(usual.suggestion.value / 2)


def test_a_chosen_method_suggests_nothing_where_the_loss_shows_nothing(curves):
    flat = analyse(*curves.flat(), resamples=0)
    found = flat.suggesting(METHODS["minimum"]())
    assert found.suggestion is None and found.reason is flat.reason and found.methods["minimum"].lr is not None


def test_a_chosen_method_without_an_answer_says_so(curves):
    found = analyse(*curves.typical(), resamples=0).suggesting(METHODS["slide"](width=10**6))
    assert found.suggestion is None and found.reason is Reason.NO_ANSWER
    assert "range_test.suggest" in found.summary()["reason"]
