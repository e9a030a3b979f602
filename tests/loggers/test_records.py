import math

import numpy as np

from lrtool.loggers.records import EndedTrial, Rows, merged
from lrtool.status import Status


def test_rows_of_one_update_are_one_point():
    one = Rows(np.array([0, 2]), {"a": np.array([1.0, 2.0])}, 5.0)
    other = Rows(np.array([2, 1]), {"b": np.array([3.0, math.nan])}, 6.0)
    assert [(point.step, point.values) for point in merged([one, other])] == [(0, {"a": 1}), (2, {"a": 2, "b": 3})]


def test_a_lasting_nan_is_a_measurement():
    (point,) = merged([Rows(np.array([0]), {"a": np.array([math.nan])}, 0.0, frozenset("a"))])
    assert math.isnan(point.values["a"])


def test_a_trial_without_a_curve_has_no_points():
    assert EndedTrial(0, "a", {}, Status.FAILED, "", {}).points(0.0) == []
