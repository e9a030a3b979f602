import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lrtool.report.thinning import running_mean, thin


def test_blocks_keep_mean_and_extremes():
    few = thin(np.arange(6), [0, 2, np.nan, 4, np.inf, np.nan], 3)
    np.testing.assert_array_equal(few.x, [0.5, 2.5, 4.5])
    np.testing.assert_array_equal(few.mean, [1, 4, np.nan])
    np.testing.assert_array_equal(few.low, [0, 4, np.nan])
    np.testing.assert_array_equal(few.high, [2, 4, np.nan])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 50))
def test_no_extreme_is_lost(values, blocks):
    few = thin(np.arange(len(values)), values, blocks)
    assert len(few.x) == min(blocks, len(values))
    assert few.low.min() == min(values) and few.high.max() == max(values)


@given(st.integers(1, 60), st.integers(1, 80))
def test_a_running_mean_leaves_a_line_as_it_is(length, width):
    line = 3.0 + 2.0 * np.arange(length)
    np.testing.assert_allclose(running_mean(line, width), line)


def test_a_running_mean_leaves_out_what_is_not_known():
    values = np.array([1.0, np.nan, 3.0, 5.0, np.inf])
    np.testing.assert_allclose(running_mean(values, 3), [1.0, np.nan, 4.0, 4.0, np.nan])


def test_a_running_mean_of_a_curve_that_is_level_does_not_end_at_its_last_value():
    values = np.array([9.0, 5.0, 3.0, 2.0, 1.0, 1.0, 1.0, 4.0])
    even, level = running_mean(values, 5), running_mean(values, 5, level_end=True)
    np.testing.assert_array_equal(even[:6], level[:6])
    assert even[-1] == 4 and level[-1] == 2 and level[-2] == 1.75
