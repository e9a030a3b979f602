"""The LR with the least expected loss, where the best one is not known exactly."""

import numpy as np
import pytest

from lrtool.analysis.search.transfer.optima import find_optima
from lrtool.analysis.search.transfer.points import Points
from lrtool.analysis.search.transfer.risk import LeastRisk, worst
from tests.analysis.search.transfer.support import points

LOGS = np.log([64.0])


def optima(skew):
    found = points(lambda batch: 0.01 * batch**0.5, {"batch": (16, 32, 64, 128)}, noise=0.0, skew=skew)
    return find_optima(found.cells())


def test_where_large_lrs_cost_more_it_lies_below_the_middle():
    shifts = [LeastRisk.of(optima(skew), LOGS, 1.0, True).shift for skew in (-0.6, 0.0, 0.6)]
    assert shifts[0] > 0.05 and abs(shifts[1]) < 0.05 and shifts[2] < -0.05


def test_it_stays_inside_the_interval_and_is_the_middle_where_that_is_known():
    for half in (1e-3, 0.3, 3.0):
        assert abs(LeastRisk.of(optima(0.6), LOGS, half, True).shift) < half
    assert LeastRisk.of(optima(0.6), LOGS, 1e-3, True).shift == pytest.approx(0, abs=1e-3)


def test_its_risk_is_what_a_normal_best_lr_costs():
    """For a symmetric basin a·u², E[loss/least − 1] is about a·σ²."""
    found = optima(0.0)
    for half in (0.2, 0.5):
        assert LeastRisk.of(found, LOGS, half, True).risk == pytest.approx(0.02 * (half / 1.96) ** 2, rel=0.1)
    risks = [LeastRisk.of(found, LOGS, half, True).risk for half in (0.2, 0.5, 1.0, 3.0)]
    assert risks == sorted(risks)


def narrowing(towards):
    """Basins of curvature 0.02·(batch/16)^towards, measured at 16 to 128."""
    made = [points(lambda batch: 0.01 * batch**0.5, {"batch": (batch,)}, noise=0.0, skew=0.0,
                   curvature=0.02 * (batch / 16) ** towards) for batch in (16, 32, 64, 128)]  # fmt: skip
    whole = Points(made[0].keys, *(np.concatenate([getattr(each, name) for each in made])
                                   for name in ("values", "lr", "loss")))  # fmt: skip
    return find_optima(whole.cells())


def test_a_basin_that_narrows_goes_on_to_beyond_what_was_measured():
    """As far again as was measured, no further; one that widens stays as narrow as it was."""
    narrower, wider = narrowing(0.5), narrowing(-0.5)

    def risk(found, batch):
        return LeastRisk.of(found, np.log([batch]), 0.4, True).risk

    assert risk(narrower, 128.0) < 0.8 * risk(narrower, 512.0) < 0.8 * risk(narrower, 1024.0)
    assert risk(narrower, 1e6) == pytest.approx(risk(narrower, 1024.0))
    assert risk(wider, 1e6) == pytest.approx(risk(wider, 128.0))


def test_losses_that_are_no_ratios_have_no_risk():
    found = LeastRisk.of(optima(0.6), LOGS, 1.0, False)
    assert found.risk is None and found.shift < 0 and worst(optima(0.6), LOGS, 1.0, False) is None


def test_the_worst_is_that_of_opposite_ends():
    assert worst(optima(0.0), LOGS, 0.5, True) == pytest.approx(0.02, rel=0.1)
    assert worst(optima(0.0), LOGS, 20.0, True) is None
