"""Each law: its formula as the paper writes it, and its derivatives."""

import numpy as np
import pytest

from lrtool.theory.laws import Momentum, MultiPower
from lrtool.theory.loss_curve import Changes
from tests.theory.laws.made_up import LAWS, SCALE, TRUE, rates

STEPS = 300
SCHEDULES = ["cosine final=10%", "step every=80 gamma=0.5", "cyclical step_size_up=60", "wsd decay=30% warmup=10%"]


def multi_power(parameters, lrs, warmup, t):
    """The multi-power law, update by update, in its own symbols."""
    p = parameters
    loss = p["L0"] + p["A"] * lrs[:t].sum() ** -p["alpha"]
    for k in range(max(warmup, 1), t):
        since = lrs[k:t].sum()
        if lrs[k] > 0:
            effect = 1 - (1 + p["C"] * lrs[k] ** -p["gamma"] * since) ** -p["beta"]
            loss -= p["B"] * (lrs[k - 1] - lrs[k]) * effect
    return loss


def momentum(parameters, lrs, warmup, t):
    """The momentum law by its recursion."""
    p, m, s2 = parameters, 0.0, 0.0
    for i in range(max(warmup, 1), t):
        m = p["lambda"] * m + (lrs[i - 1] - lrs[i])
        s2 += m
    return p["L0"] + p["A"] * lrs[:t].sum() ** -p["alpha"] - p["C"] * s2


@pytest.mark.parametrize("text", SCHEDULES)
@pytest.mark.parametrize(("law", "formula"), [(MultiPower, multi_power), (Momentum, momentum)])
def test_it_is_the_formula(law, formula, text):
    lrs, warmup = rates(text, STEPS), 30 if "warmup" in text else 0
    at = np.array([40, 150, 299])
    found = LAWS[law].loss(TRUE[law], Changes.of(lrs, warmup, at), SCALE)
    parameters = LAWS[law].published(TRUE[law], SCALE)
    # Single updates are seen as they are; only how an update counts itself differs, and changes are gathered.
    assert found == pytest.approx([formula(parameters, lrs, warmup, t) for t in at], rel=2e-4)


@pytest.mark.parametrize("law", TRUE)
def test_derivatives(law):
    changes = Changes.of(rates("cosine warmup=10% final=5%", STEPS), 30, np.array([35, 100, 300]))
    loss, slopes = LAWS[law].slopes(TRUE[law], changes, SCALE)
    assert loss == pytest.approx(LAWS[law].loss(TRUE[law], changes, SCALE))
    for place in range(len(TRUE[law])):
        step = np.zeros(len(TRUE[law]))
        step[place] = 1e-5
        above, below = (LAWS[law].loss(TRUE[law] + sign * step, changes, SCALE) for sign in (1, -1))
        assert slopes[:, place] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("law", TRUE)
def test_every_start_is_whole(law):
    assert all(len(start) == len(LAWS[law].own) == len(LAWS[law].expected) for start in LAWS[law].starts())
