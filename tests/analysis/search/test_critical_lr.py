import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrtool.analysis.search.critical_lr import PASSES, CriticalLook, CriticalLr, CriticalSearch, warm_lr


def searched(loss, start, base=None, **more):
    """The estimate of a search along `loss(lr)`, and the LRs that it looked at."""
    search, looked = CriticalSearch(start, loss(0.0) if base is None else base, **more), []
    while (lr := search.wanted()) is not None:
        looked.append(lr)
        search.tell(loss(lr))
    assert search.passes == len(looked) <= PASSES
    return search.estimate(), looked


@given(st.floats(-7, 3), st.floats(-4, 4))
def test_a_parabola_is_critical_at_two_over_its_sharpness(critical, off):
    critical, start = 10.0**critical, 10.0 ** (critical + off)
    found, _ = searched(lambda lr: 3 + (1 - 2 * lr / critical) ** 2, start)
    assert found.low <= critical * (1 + 1e-4) and critical <= found.high * (1 + 1e-4)
    assert found.high / found.low < 1.5


@pytest.mark.parametrize("start", [0.02, 0.1, 0.4])
def test_from_a_tenth_eight_passes_are_enough(start):
    _, looked = searched(lambda lr: (1 - 10 * lr) ** 2, start)
    assert len(looked) <= 8


def test_it_is_the_smallest_of_several_where_the_search_comes_from_below():
    # Falls, rises above its start from 0.1 to 0.2, and falls again.
    found, _ = searched(lambda lr: 1.0 + math.sin(10 * math.pi * lr) * (-1 if lr < 0.2 else 2), 0.01)
    assert found.low <= 0.1 <= found.high


def test_a_loss_that_is_not_finite_is_raised():
    found, _ = searched(lambda lr: 1 - lr if lr < 0.5 else math.nan, 0.1)
    assert found.low < 0.5 <= found.high
    found, _ = searched(lambda lr: 1 - lr if lr < 0.5 else -math.inf, 0.1)
    assert found.low < 0.5 <= found.high


@pytest.mark.parametrize(
    "loss", [lambda lr: 1.0, lambda lr: 1 + lr, lambda lr: 1 - lr, lambda lr: math.nan, lambda lr: math.inf]
)
def test_where_nothing_is_critical_nothing_is_said(loss):
    assert searched(loss, 0.1)[0] is None


def test_rounding_is_no_rise():
    # bf16 losses stand still in steps of 1/256 of themselves.
    def rounded(lr):
        return round((2 + (1 - 10 * lr) ** 2) * 128 + (lr == 1e-4)) / 128

    found, _ = searched(rounded, 1e-4, rounding=2**-8)
    assert 0.15 < found.value < 0.25


@pytest.mark.parametrize("start", [0.0, -1.0, math.inf, math.nan])
def test_a_start_that_is_no_lr_is_refused(start):
    with pytest.raises(ValueError, match="finite and above 0"):
        CriticalSearch(start, 1.0)


def looks(*rows):
    return tuple(CriticalLook(seed, step, lr, 5) for seed, step, lr in rows)


def test_the_first_update_counts_only_where_there_is_no_later_one():
    both = CriticalLr(looks((0, 0, 100.0), (0, 16, 1.0), (0, 24, 4.0), (0, 32, 2.0)))
    assert both.estimate.value == pytest.approx(2.0) and both.sharpness == pytest.approx(1.0)
    assert 1.0 <= both.estimate.low < 2.0 < both.estimate.high <= 4.0
    assert CriticalLr(looks((0, 0, 100.0))).estimate.value == pytest.approx(100)
    assert both.passes == 4 * 6


def test_where_most_updates_say_nothing_there_is_no_estimate():
    assert CriticalLr(looks((0, 16, None), (0, 24, 4.0))).estimate is None
    assert CriticalLr(looks((0, 16, None), (0, 24, 4.0), (1, 16, 5.0))).estimate is not None
    assert CriticalLr(()).estimate is None and CriticalLr(()).sharpness is None


def test_a_warm_training_stays_below_what_is_critical_for_any_seed():
    assert warm_lr(looks((0, 0, 3.0), (1, 0, 2.0), (2, 0, None)), 0.1) == pytest.approx(0.2)
    assert warm_lr(looks((0, 0, None)), 0.1) is None
