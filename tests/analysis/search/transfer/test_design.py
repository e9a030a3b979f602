"""Which smaller runs are trained for a budget."""

import math

import pytest

from lrtool.analysis.search.transfer.design import LRS, least_cost, plan
from lrtool.analysis.search.transfer.usual import BOUND, DURATION, usual

UPDATES = 4000
WIDTH = "model.width"
LEVELS = {"duration": {}, "width": {WIDTH: (16.0, 32.0, 64.0)},
          "both": {WIDTH: (16.0, 32.0, 64.0), "data.batch_size": (8.0, 16.0, 32.0)}}  # fmt: skip
TARGET = {DURATION: float(UPDATES), WIDTH: 256.0, "data.batch_size": 128.0}
EXPECTED = usual((DURATION, WIDTH, "data.batch_size"))


def cost(values):
    """Updates, times the model's share, times the batch's."""
    return (values[DURATION] / UPDATES * (values.get(WIDTH, 256.0) / 256) ** 2
            * values.get("data.batch_size", 128.0) / 128)  # fmt: skip


def designed(name, runs):
    return plan(LEVELS[name], UPDATES, runs, cost, TARGET, EXPECTED, longer=name == "duration")


@pytest.mark.parametrize("name", LEVELS)
def test_a_design_costs_no_more_than_there_is(name):
    for runs in (0.1, 0.25, 1.0, 4.0):
        found = designed(name, runs)
        if found is not None:
            assert found.cost <= runs
            costs = [cost(dict(zip(found.keys, cell, strict=True))) for cell in found.cells]
            assert costs == sorted(costs) and found.seeds * LRS * sum(costs) < found.cost
            assert all(found.steps(cell) >= 20 for cell in found.cells)


@pytest.mark.parametrize("name", LEVELS)
def test_the_least_cost_is_where_designs_begin(name):
    least = least_cost(LEVELS[name], UPDATES, cost, name == "duration")
    assert designed(name, least * 1.001) is not None and designed(name, least * 0.999) is None


@pytest.mark.parametrize("name", LEVELS)
def test_a_large_budget_measures_three_values_of_every_key(name):
    found = designed(name, 20.0)
    for place, key in enumerate(found.keys):
        values = {cell[place] for cell in found.cells}
        assert len(values) >= 3 or (values == {TARGET[key]} and key == DURATION), key


def test_a_small_budget_leaves_values_out():
    found = designed("width", 1.05 * least_cost(LEVELS["width"], UPDATES, cost))
    assert len(found.cells) < 4


def test_a_target_too_short_has_none():
    assert least_cost({}, 40, lambda values: values[DURATION] / 40) is None


def test_what_is_usual_follows_the_bound_and_the_optimizer():
    assert usual((DURATION,))[DURATION][0] == pytest.approx(-0.25) == 0.5 * BOUND
    assert usual((DURATION,), bound=-0.1)[DURATION][0] == pytest.approx(-0.05)
    adam, sgd = (usual((WIDTH, "optimizer.weight_decay"), adaptive) for adaptive in (True, False))
    assert adam[WIDTH][0] < sgd[WIDTH][0] < 0 and "optimizer.weight_decay" not in adam
    assert all(math.isfinite(mean) and deviation > 0 for mean, deviation in EXPECTED.values())
