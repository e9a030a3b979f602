"""What would be enough where a transfer has no answer."""

import math
from dataclasses import replace

import numpy as np
import pytest

from lrtool.analysis.search.transfer.design import plan
from lrtool.analysis.search.transfer.enough import enough
from lrtool.analysis.search.transfer.extrapolate import extrapolate
from lrtool.analysis.search.transfer.points import Points
from lrtool.analysis.search.transfer.usual import DURATION, usual

UPDATES, EXPECTED = 100_000, usual((DURATION,))
TARGET = {DURATION: float(UPDATES)}


def cost(values):
    return values[DURATION] / UPDATES


def bought(runs):
    return plan({}, UPDATES, runs, cost, TARGET, EXPECTED)


def once(design):
    return 1.0, 1.0


def transferred(runs, curvature, off=1.0):
    """A transfer at this budget, of a task whose best LR falls with the length as length^-0.3."""
    rows = [(cell[0], lr, math.exp(curvature * math.log(lr / (off * 0.1 * cell[0] ** -0.3)) ** 2))
            for cell in bought(runs).cells for lr in 0.1 * cell[0] ** -0.3 * 2.0 ** np.arange(-2, 3)]  # fmt: skip
    values, lr, loss = np.array(rows).T
    return extrapolate(Points((DURATION,), values[:, None], lr, loss), TARGET, EXPECTED, (1.0, 1.0))


@pytest.mark.parametrize("curvature", [0.3, 0.5])
def test_with_the_budget_that_is_named_there_is_an_answer(curvature):
    found = transferred(0.05, curvature)
    assert found.lr is None and found.guess is not None
    more = enough(found, bought, once, 0.05, 3.0)
    assert 0.05 < more <= 3.0 and transferred(more, curvature).lr is not None


def test_the_steeper_the_basin_the_more_it_takes():
    needs = [enough(transferred(0.05, curvature), bought, once, 0.05, 30.0) for curvature in (0.3, 0.5, 0.7)]
    assert needs[0] < needs[1] < needs[2]


def test_where_nothing_affordable_is_enough_it_is_infinite():
    assert enough(transferred(0.05, 2.0), bought, once, 0.05, 0.1) == math.inf
    assert enough(transferred(0.05, 0.7), bought, once, 0.05, 0.01) == math.inf


def test_overfitting_that_longer_runs_do_not_show_either_is_not_bought_off():
    found = transferred(0.05, 0.7)
    assert enough(found, bought, lambda _: (1.0, 1e4), 0.05, 3.0) == math.inf


def test_without_a_law_nothing_is_promised():
    found = transferred(0.05, 0.7)
    assert enough(replace(found, law=None), bought, once, 0.05, 3.0) is None
    assert enough(replace(found, guess=None), bought, once, 0.05, 3.0) is None
