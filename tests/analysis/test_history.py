import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from lrtool.analysis.history import History


@given(cuts=st.lists(st.integers(0, 9000), max_size=8), length=st.integers(3, 9000))
@settings(max_examples=examples(60), deadline=None)
def test_pieces_do_not_matter_and_memory_is_bounded(cuts: list[int], length: int) -> None:
    losses = np.random.default_rng(0).normal(size=length)
    whole, cut = History(), History()
    whole.add(losses.tolist())
    for piece in np.split(losses, sorted(min(each, length) for each in cuts)):
        cut.add(piece.tolist())
    one, other = whole.levels(), cut.levels()
    np.testing.assert_array_equal(one.high, other.high)
    np.testing.assert_array_equal(one.low, other.low)
    assert one.width == other.width
    assert len(one.high) <= 513
    assert length * 0.75 - 8 <= one.updates <= length + one.width + 3
    np.testing.assert_array_equal(whole.tail, losses[-256:])


def test_levels_are_the_highest_and_lowest_of_fours() -> None:
    history = History()
    history.add([float(t) for t in range(200)])
    seen = history.levels()
    assert seen.width == 4
    assert seen.high[:4].tolist() == [2, 3, 7, 11] and seen.low[:4].tolist() == [0, 0, 4, 8]


def test_huge_losses_do_not_overflow() -> None:
    history = History()
    history.add([1.5e308] * 5000)
    assert np.isfinite(history.levels().high).all()
