"""Changes of the LR, gathered; and losses, averaged."""

import numpy as np
import pytest

from lrtool.theory.loss_curve import Changes, LossCurve


def test_a_single_step_down_is_exact():
    rates = np.concatenate([np.full(50, 0.2), np.full(50, 0.05)])
    changes = Changes.of(rates, 0, np.array([30, 50, 51, 100]))
    assert changes.used == pytest.approx([6.0, 10.0, 10.05, 12.5])
    assert changes.drop == pytest.approx([0.15]) and changes.rate == pytest.approx([0.05])
    assert changes.since[:, 0] == pytest.approx([0, 0, 0.05, 2.5])
    assert changes.updates[:, 0].tolist() == [0, 0, 1, 50]


def test_falls_and_rises_do_not_cancel():
    rates = np.tile([0.1, 0.3], 200)
    changes = Changes.of(rates, 0, np.array([400]))
    assert changes.drop[changes.drop > 0].sum() == pytest.approx(199 * 0.2)
    assert changes.drop[changes.drop < 0].sum() == pytest.approx(-200 * 0.2)
    assert np.isfinite(changes.since).all() and changes.rate.min() > 0


def test_changes_of_the_warm_up_do_not_count():
    rates = np.concatenate([np.linspace(0.01, 0.1, 10), np.full(20, 0.1)])
    assert Changes.of(rates, 10, np.array([30])).drop.size == 0
    assert Changes.of(rates, 0, np.array([30])).drop.sum() == pytest.approx(-0.09)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_short_runs_are_defined(steps):
    rates = np.linspace(1.0, 0.5, steps)
    changes = Changes.of(rates, 0, np.array([steps]))
    assert changes.used == pytest.approx([rates.sum()])
    assert changes.drop.sum() == pytest.approx(0.5 if steps > 1 else 0.0)


def test_many_losses_are_averaged_and_the_start_is_left_out():
    steps = np.arange(1, 5001)
    curve = LossCurve("long", np.full(5000, 0.1), steps, 1 + 1 / steps)
    kept = curve.fitted()
    assert len(kept.steps) <= 200 and kept.steps[0] >= 150 and kept.steps[-1] > 4900
    assert kept.losses == pytest.approx(1 + 1 / kept.steps, rel=1e-4)
    short = LossCurve("few", np.full(100, 0.1), np.array([10, 50, 100]), np.array([3.0, 2.0, 1.0]))
    assert short.fitted().losses.tolist() == [3.0, 2.0, 1.0]


def test_whether_the_lr_falls():
    rising = np.linspace(0.1, 1, 10)
    assert not LossCurve("up", rising, np.array([10]), np.ones(1), 9).falls
    assert LossCurve("down", rising[::-1], np.array([10]), np.ones(1)).falls
