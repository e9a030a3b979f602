"""What is measured on a machine is remembered, and nothing that goes wrong with the file is an error."""

from __future__ import annotations

import pytest
import torch

from lrtool.engine.cost import calibration

pytestmark = pytest.mark.usefixtures("own_cache")


def compile_times() -> calibration.CompileTimes:
    return calibration.CompileTimes(calibration.Memory(), torch.device("cpu"))


def test_compile_times_are_wide_where_none_was_measured_and_go_by_the_upper_end_of_those_that_were() -> None:
    times = compile_times()
    assert times.expected(5.0).low == 5.0 and times.expected(5.0).high == 15.0
    times.add(5.0, 75.0)
    assert times.expected(5.0).high > 75.0 and times.expected(10.0).likely == pytest.approx(150.0)
    for _ in range(29):
        times.add(5.0, 5.0)
    # One slow compile among thirty is no longer what has to be feared.
    assert 5.0 < times.expected(5.0).high < 6.0
    assert compile_times().expected(5.0) == times.expected(5.0)
