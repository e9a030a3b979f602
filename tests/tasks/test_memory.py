"""Splitting, checking and standardising data in memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import Arrays
from lrtool.tasks.memory import check_finite, scale_inputs, split


@given(st.integers(2, 300), st.floats(0.0, 0.95), st.integers(0, 2**32))
def test_a_split_is_a_partition(size: int, fraction: float, seed: int) -> None:
    if fraction and not 0 < round(size * fraction) < size:
        with pytest.raises(UsageError, match="write 0 to train without validation"):
            split(size, fraction, seed)
        return
    train, val = split(size, fraction, seed)
    assert len(val) == round(size * fraction)
    assert sorted([*train, *val]) == list(range(size))


def test_a_split_depends_on_the_seed_alone() -> None:
    first, again, other = split(100, 0.2, 3), split(100, 0.2, 3), split(100, 0.2, 4)
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(TaskError, match="empty"):
        split(0, 0.2, 0)


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "an infinite value")])
def test_a_value_that_is_not_finite_is_found(bad: float, word: str) -> None:
    values = np.zeros((5, 2, 3))
    values[3, 1, 2] = bad
    with pytest.raises(TaskError, match=rf"the inputs hold {word} in sample 3 at \(1, 2\) \(1 such"):
        check_finite(values, "the inputs")


def test_integers_are_finite() -> None:
    check_finite(np.arange(3), "the targets")


def test_the_training_split_alone_sets_the_scale() -> None:
    train = Arrays((np.array([[0.0, 7.0], [2.0, 7.0]]),), np.zeros(2))
    val = Arrays((np.array([[10.0, 7.0]]),), np.zeros(1))
    scaled, held_out = scale_inputs(train, val)
    assert scaled.inputs[0].tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert held_out is not None
    assert held_out.inputs[0].tolist() == [[9.0, 0.0]]
