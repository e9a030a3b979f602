"""The last-iterate bound: the published check values, the formula as it is written, and what is degenerate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from lrtool.config.specs import as_schedule
from lrtool.errors import UsageError
from lrtool.theory.bound import bound_over_time, last_iterate_bound

#: γ* and Ω* for 400 updates with G = D = 1, as the paper's formula gives them.
CHECKED = {
    "linear": (0.04956, 0.10063),
    "wsd decay=100% shape=1-sqrt": (0.07380, 0.10124),
    "cosine": (0.04824, 0.10339),
    "wsd decay=20% shape=linear": (0.02537, 0.10932),
    "constant": (0.01818, 0.13754),
}


@pytest.mark.parametrize("text", CHECKED)
def test_check_values(text):
    bound = last_iterate_bound(as_schedule(text).bind(1.0, 400).table())
    assert (round(bound.gamma, 5), round(bound.omega, 5)) == CHECKED[text]


def test_check_value_of_the_inverse_root():
    bound = last_iterate_bound(1 / np.sqrt(np.arange(1, 401)))
    assert (round(bound.gamma, 5), round(bound.omega, 5)) == (0.21209, 0.12226)


def plainly(eta, norms, distance):
    """The formula term by term, in the paper's indices; for LRs of which the last is above 0."""
    count = len(eta)
    total = sum(eta)
    squares = [e**2 * g**2 for e, g in zip(eta, norms, strict=True)]
    out = distance**2 / (2 * total) + sum(squares) / (2 * total)
    for k in range(count - 1):
        out += 0.5 * eta[k] / sum(eta[k + 1 :]) * sum(squares[k:]) / sum(eta[k:])
    return out


rates = st.lists(st.floats(0, 10).map(lambda x: 0.0 if x < 1e-6 else x), min_size=1, max_size=12).filter(any)


@settings(max_examples=examples(100), deadline=None)
@given(rates, st.data())
def test_it_is_the_formula(eta, data):
    norms = data.draw(st.lists(st.floats(0.1, 10), min_size=len(eta), max_size=len(eta)))
    distance = data.draw(st.floats(0.1, 10))
    moving = len(eta) - next(place for place, e in enumerate(reversed(eta)) if e > 0)
    bound = last_iterate_bound(eta, norms, distance)
    assert bound.steps == moving
    assert bound.at(1.0) == pytest.approx(plainly(eta[:moving], norms[:moving], distance))
    best = bound.at(bound.gamma)
    assert best == pytest.approx(bound.omega)
    assert all(bound.at(bound.gamma * by) >= best * (1 - 1e-9) for by in (0.5, 0.99, 1.01, 2.0))


def test_over_time_each_bound_is_that_of_a_run_that_stops_there():
    eta = as_schedule("cosine warmup=10%").bind(0.3, 50).table()
    norms = np.linspace(1, 3, 50)
    found = bound_over_time(eta, [1, 7, 50], norms, 2.0)
    assert found == pytest.approx([plainly(eta[:t], norms[:t], 2.0) for t in (1, 7, 50)])
    assert bound_over_time([0.0, 0.0, 1.0], [1, 2, 3])[:2].tolist() == [math.inf, math.inf]


def test_one_update():
    """D²/(2γ) + γG²/2 is least at γ = D/G."""
    bound = last_iterate_bound([1.0], 4.0, 2.0)
    assert (bound.gamma, bound.omega) == pytest.approx((0.5, 8.0))


def test_a_schedule_that_ends_at_zero_is_the_one_without_its_end():
    ends = last_iterate_bound([1.0, 0.0, 0.5, 0.0, 0.0])
    assert ends == last_iterate_bound([1.0, 0.0, 0.5]) and ends.steps == 3


def test_tiny_lrs_at_the_end_are_not_lost():
    """The last LRs of a long cosine are ten orders of magnitude below the sum of all."""
    eta = as_schedule("cosine").bind(1.0, 3000).table()
    assert last_iterate_bound(eta).at(1.0) == pytest.approx(plainly(eta.tolist(), [1.0] * 3000, 1.0), rel=1e-9)


@pytest.mark.parametrize(
    ("shape", "norms", "distance", "said"),
    [
        ([], 1.0, 1.0, "somewhere above 0"),
        ([0.0, 0.0], 1.0, 1.0, "somewhere above 0"),
        ([1.0, -1.0], 1.0, 1.0, "at least 0"),
        ([1.0, math.nan], 1.0, 1.0, "finite"),
        ([1.0, 1.0], [1.0], 1.0, "1 gradient norms, but 2 updates"),
        ([1.0, 1.0], [1.0, math.nan], 1.0, "gradient norms are finite"),
        ([1.0, 1.0], 0.0, 1.0, "no LR is too large"),
        ([1.0], 1.0, 0.0, "distance"),
    ],
)
def test_what_cannot_be(shape, norms, distance, said):
    with pytest.raises(UsageError, match=said):
        last_iterate_bound(shape, norms, distance)
