import pytest

from lrtool.analysis.search.probe_plan import LEAST, LIMITS, PROBES, probe_plan

#: A run of 400 updates, validated once.
COST = 400


def cost(steps):
    return (steps + 4) / COST


def test_a_rich_budget_holds_everything():
    plan = probe_plan(100, cost, 200, 20, 3)
    assert plan.whole and plan.steps == 200 and plan.seeds == 3
    least = 3 * (PROBES + LIMITS) * cost(200)
    assert probe_plan(least, cost, 200, 20, 3).whole and not probe_plan(0.99 * least, cost, 200, 20, 3).whole


@pytest.mark.parametrize("left", [0.2, 0.3, 0.5, 0.8, 1, 2, 5, 10, 20])
def test_whatever_a_budget_holds_is_not_more_than_it(left):
    plan = probe_plan(left, cost, 200, 20, 3)
    assert plan.lrs >= LEAST and plan.lrs * plan.seeds * cost(plan.steps) <= left + 1e-9
    assert 20 <= plan.steps <= 200 and not plan.whole


def test_with_less_of_a_budget_trainings_are_shorter_and_then_fewer():
    plans = [probe_plan(left, cost, 200, 20, 3) for left in (10, 2, 1, 0.5, 0.2)]
    assert [plan.steps for plan in plans] == sorted((plan.steps for plan in plans), reverse=True)
    assert [plan.lrs for plan in plans] == sorted((plan.lrs for plan in plans), reverse=True)


def test_a_little_more_or_less_is_the_same_plan():
    assert probe_plan(1.0, cost, 200, 20, 3) == probe_plan(1.03, cost, 200, 20, 3)


def test_a_budget_that_holds_no_comparison_has_no_plan():
    assert probe_plan(0.1, cost, 200, 20, 3) is None
    assert probe_plan(-1.0, cost, 200, 20, 3) is None


def test_where_many_would_be_too_short_fewer_are_longer():
    many, few = probe_plan(1.0, cost, 200, 20, 3), probe_plan(1.0, cost, 200, 20, 3, telling=100)
    assert few.lrs < many.lrs and few.steps > many.steps and few.lrs * cost(few.steps) <= 1.0
    assert probe_plan(8.0, cost, 200, 20, 3, telling=100).lrs == many.lrs
