import numpy as np
import pytest

from lrtool.analysis.range_test_result import LrEstimate
from lrtool.analysis.search.best_lr import Rung, Search
from lrtool.analysis.search.transfer.usual import BOUND
from lrtool.executors.inprocess import InProcess
from lrtool.experiments.engines import Engines
from lrtool.experiments.prior.start import bound_exponent, bound_lr, bracket, expected_exponent, foretold, foretold_by
from lrtool.experiments.spread.engines import SpreadEngines
from lrtool.experiments.tune import _Tuner
from lrtool.schedules import KINDS


def test_the_bound_foretells_the_ratio_of_two_schedules_best_lrs(configured):
    # γ* for 400 updates, from the check values of the bound: 0.04824 (cosine) and 0.01818 (constant).
    setup = configured(train__duration=400)
    kinds = {kind: KINDS[kind]() for kind in ("constant", "cosine", "linear")}
    found = foretold(0.1, "constant", setup, kinds)
    assert found == {
        "cosine": pytest.approx(0.1 * 0.04824 / 0.01818, rel=1e-3),
        "linear": pytest.approx(0.1 * 0.04956 / 0.01818, rel=1e-3),
    }
    assert bound_lr(setup.curves(3.0, 400)["lr"]) == pytest.approx(bound_lr(setup.curves(0.1, 400)["lr"]))


def test_another_length_is_comparable_and_another_task_is_not(configured):
    short, long = configured(train__duration=100), configured(train__duration=400)
    tuned = [(short.config, 0.2)]
    assert foretold_by(tuned, long.config, long) == pytest.approx(0.2 / 2, rel=0.05)  # as 1/√length
    constant = configured(train__duration=100, schedule={"kind": "constant"})
    assert 0.01 < foretold_by(tuned, constant.config, constant) < 0.2
    other = configured(optimizer__lr=5.0)
    assert foretold_by(tuned, other.config, other) is not None
    for changed in ({"optimizer__momentum": 0.0}, {"data__batch_size": 12}, {"train__accumulate": 2}):
        other = configured(**changed)
        assert foretold_by(tuned, other.config, other) is None
    assert foretold_by([], long.config, long) is None


def test_a_first_grid_around_an_lr_above_the_critical_one_goes_there():
    critical = LrEstimate(0.1, 0.05, 0.3)
    assert bracket(5.0, None) == (5.0, None) and bracket(0.05, critical) == (0.05, None)
    assert bracket(5.0, critical) == (0.1, pytest.approx(0.4))


def test_the_first_schedule_of_several_places_the_others(configured):
    tuner, rung = object.__new__(_Tuner), Rung(1 / 8, 9, 2, 2.0)
    tuner.setup = setup = configured(train__duration=400)
    schedules = {kind: KINDS[kind]() for kind in ("constant", "cosine")}
    searches = {name: Search(0.3) for name in schedules}
    turns = tuner._turns(rung, schedules, searches)
    assert next(turns) == {"constant": searches["constant"]}
    for lr in searches["constant"].grid(rung):
        for seed in (0, 1):
            searches["constant"].tell(lr, seed, 1 + 0.3 * np.log(lr / 0.05) ** 2 + 0.001 * seed)
    assert next(turns) == {"cosine": searches["cosine"]}
    grid, expected = searches["cosine"].grid(rung), foretold(0.05, "constant", setup, schedules)["cosine"]
    assert len(grid) == 5 and grid[2] == pytest.approx(expected, rel=0.2)
    assert list(tuner._turns(rung, schedules, searches)) == [searches], "later all go on together"


def test_where_the_first_schedule_shows_nothing_the_others_are_searched_as_widely(configured):
    tuner, rung = object.__new__(_Tuner), Rung(1 / 8, 9, 2, 2.0)
    tuner.setup = configured(train__duration=400)
    schedules = {kind: KINDS[kind]() for kind in ("constant", "cosine")}
    searches = {name: Search(0.3) for name in schedules}
    turns = tuner._turns(rung, schedules, searches)
    next(turns)
    for lr in searches["constant"].grid(rung):
        searches["constant"].tell(lr, 0, float("nan"))
    next(turns)
    assert len(searches["cosine"].grid(rung)) == 9


def test_what_trains_elsewhere_is_not_looked_at_here():
    class Elsewhere(InProcess):
        elsewhere = True

    assert Engines().here and SpreadEngines(InProcess(), None).here
    assert not SpreadEngines(Elsewhere(), None).here


def test_the_exponent_over_the_duration_is_the_bounds(configured):
    setup = configured(train__duration=4000, schedule={"kind": "linear"})
    assert bound_exponent(setup) == pytest.approx(-0.5, abs=0.02)
    # Of a constant LR the bound has a logarithm of the length besides.
    assert -0.65 < bound_exponent(setup, KINDS["constant"]()) < -0.51
    assert expected_exponent(setup, KINDS["linear"]()) == pytest.approx(-0.25, abs=0.01)
    assert bound_exponent(configured(train__duration=1)) == BOUND
    endless = configured(train__duration=10**8, schedule={"kind": "linear"})
    assert bound_exponent(endless) == pytest.approx(-0.5, abs=0.01)


def test_a_longer_rung_begins_where_the_bound_moves_the_best_lr():
    grids = []
    for exponent in (0.0, -0.25):
        search = Search(0.1, exponent=exponent)
        first, last = Rung(1 / 8, 9, 1, 2.0), Rung(1.0, 7, 1, 1.5)
        for lr in search.grid(first):
            search.tell(lr, 0, 1 + 0.3 * np.log(lr / 0.05) ** 2)
        search.narrow()
        grids.append(search.grid(last))
    assert np.array(grids[1]) == pytest.approx(np.array(grids[0]) * 8**-0.25)
