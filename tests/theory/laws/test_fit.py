"""Fits: what made-up runs obey is found again, named, and predicts others."""

import numpy as np
import pytest

from lrtool.errors import UsageError
from lrtool.theory.laws.band import banded
from lrtool.theory.laws.best_schedule import best_rates
from lrtool.theory.laws.choice import choose_law
from lrtool.theory.laws.fit import fit_law
from lrtool.theory.loss_curve import LossCurve
from tests.theory.laws.made_up import LAWS, TRUE, curve, rates, three

OTHERS = [("linear", 1500), ("wsd decay=20% shape=linear", 1500), ("cosine", 4500)]


@pytest.fixture(scope="module", params=TRUE, ids=lambda law: law.__name__)
def law(request):
    return request.param


@pytest.fixture(scope="module")
def chosen(law):
    return choose_law(three(law))


def test_the_law_that_the_runs_obey_is_chosen(law, chosen):
    assert chosen.fit.law.name == LAWS[law].name
    errors = chosen.errors()
    assert errors[LAWS[law].name] == min(errors.values()) < 0.01


@pytest.mark.parametrize(("text", "steps"), OTHERS)
def test_other_schedules_and_lengths_are_predicted_within_the_band(law, chosen, text, steps):
    true = curve(law, text, steps, noise=0.0)
    band = banded(chosen, true.rates, 0, true.steps[-5:])
    assert band.loss == pytest.approx(true.losses[-5:], rel=0.01)
    assert (band.low < true.losses[-5:]).all() and (true.losses[-5:] < band.high).all()
    assert (band.beyond > 1.2) == (steps > 1500)


def test_outliers_hardly_move_a_fit(law):
    plain = three(law)
    spiked = [
        LossCurve(c.name, c.rates, c.steps, c.losses * np.where(np.arange(len(c.steps)) % 25 == 7, 1.5, 1), c.warmup)
        for c in plain
    ]
    found = fit_law(LAWS[law], spiked)
    true = curve(law, "linear", noise=0.0)
    assert found.loss(true.rates, 0, true.steps[-1:]) == pytest.approx(true.losses[-1:], rel=0.01)


def test_a_band_widens_with_what_lies_beyond(law, chosen):
    widths = []
    for steps in (1500, 4500, 15000):
        band = banded(chosen, rates("constant", steps), 0, np.array([steps]))
        widths.append(np.log(band.high[0] / band.low[0]))
    assert widths == sorted(widths) and widths[-1] > 1.3 * widths[0]


def test_the_best_schedule_is_no_worse_than_the_usual_ones(chosen):
    found = best_rates(chosen.fit, 1500, 0, 0.1)
    end = np.array([1500])
    usual = [rates(text, 1500) for text in ("constant", "linear", "cosine", "wsd decay=20%")]
    assert chosen.fit.loss(found, 0, end) <= min(chosen.fit.loss(each, 0, end) for each in usual) + 1e-3
    assert found.min() >= 0 and found.max() <= 0.1 + 1e-12 and len(found) == 1500
    signs = np.sign(np.diff(found))
    falling = int(np.argmax(signs < 0))
    assert not (signs[falling:] > 0).any(), "first up, then down"


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (2, 1), (7, 3)])
def test_the_best_schedule_of_short_runs_is_defined(chosen, steps, warmup):
    found = best_rates(chosen.fit, steps, warmup, 0.1)
    assert found.shape == (steps,) and np.isfinite(found).all() and found.max() > 0


def test_what_cannot_identify_a_law():
    law = next(iter(TRUE))
    with pytest.raises(UsageError, match="two finished runs"):
        choose_law([curve(law, "cosine")])
    with pytest.raises(UsageError, match="same schedule"):
        choose_law([curve(law, "cosine", seed=seed) for seed in (0, 1)])
    with pytest.raises(UsageError, match="none lowers its LR"):
        choose_law([curve(law, "constant"), curve(law, "constant", 800)])
