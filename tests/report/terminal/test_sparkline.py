import numpy as np
import pytest

from lrtool.report.terminal.sparkline import sparkline

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("values", "options", "line"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], {}, "▁▂▃▄▅▆▇█"),
        ([3, 3, 3], {}, "▄▄▄"),
        ([3, 3, 3], {"low": 0, "high": 3}, "███"),
        ([0, NAN, 7], {}, "▁ █"),
        ([NAN, NAN], {}, "  "),
        ([], {}, ""),
        ([0, 7, INF], {}, "▁██"),
        ([1e-6, 1e-3, 1], {"log": True}, "▁▅█"),
        ([0, -1, 1, 10], {"log": True}, "  ▁█"),
        ([-2, -1], {}, "▁█"),
    ],
)
def test_it_draws(values, options, line):
    assert sparkline(values, **options) == line


def test_a_long_curve_is_averaged_to_the_width():
    line = sparkline(np.linspace(0, 1, 100_000), 8)
    assert line == "▁▂▃▄▅▆▇█"
    assert len(sparkline(np.random.default_rng(0).random(1001), 24)) == 24
