import numpy as np
import pytest

from lrtool.report.terminal.lines import line_plot


def test_a_falling_line_falls():
    text = line_plot(np.arange(9), {"": 8 - np.arange(9)}, width=14, height=3)
    rows = [{column for column, sign in enumerate(line[3:]) if sign != " "} for line in text.splitlines()[:3]]
    assert min(rows[0]) < min(rows[1]) < min(rows[2])
    assert max(rows[0]) < max(rows[1]) < max(rows[2])


def test_axes_name_the_ends():
    lines = line_plot(np.arange(101), {"cosine": np.linspace(0.1, 0, 101)}, width=40, height=8).splitlines()
    assert lines[0].startswith("   0.1 ┤") and lines[7].startswith("     0 ┤")
    assert lines[9].split() == ["0", "50", "100"]
    assert lines[10].split() == ["⣀", "cosine"]
    assert max(map(len, lines)) <= 40


def test_several_curves_have_a_sign_each():
    text = line_plot(np.arange(50), {"a": np.arange(50), "b": np.full(50, 10.0)}, width=40, height=8)
    assert "● a" in text and "○ b" in text
    drawn = "".join(text.splitlines()[:8])
    assert drawn.count("●") > 5 and drawn.count("○") > 5


def test_a_log_axis_makes_exponential_decay_a_straight_line():
    x = np.arange(100)
    lines = line_plot(x, {"": np.exp(-x / 10)}, width=50, height=10, log=True).splitlines()[:10]
    middle = [sum(found) / len(found) for line in lines if (found := [i for i, s in enumerate(line) if "⠀" < s < "⣿"])]
    assert len(middle) == 10
    assert np.ptp(np.diff(middle)) <= 2


def test_gaps_stay_gaps_and_steps_are_joined():
    gap = line_plot([0, 1, 2, 3], {"": [1, 1, np.nan, 1]}, width=40, height=3)
    assert "⠤ " in gap or "⠒ " in gap or "⠂ " in gap or "⠄ " in gap
    step = line_plot(np.arange(100), {"": np.repeat([1.0, 0.0], 50)}, width=40, height=8)
    assert all(line[line.index("│") + 1 :].strip() for line in step.splitlines() if "│" in line)


@pytest.mark.parametrize(
    ("x", "y", "log"),
    [([], [], False), ([0], [np.nan], False), ([0, 1], [-1, 0], True)],
)
def test_nothing_to_draw_is_said(x, y, log):
    assert line_plot(x, {"a": y}, log=log) == "(nothing to draw)\n"


@pytest.mark.parametrize("y", [[0.1], [0.0], [np.inf]])
def test_a_single_point_is_drawn_or_said_not_to_be(y):
    text = line_plot([5], {"a": y}, width=30, height=5)
    assert ("┤" in text) == bool(np.isfinite(y[0]))


def test_there_are_no_control_characters():
    text = line_plot(np.arange(20), {"a": np.arange(20), "b": np.ones(20)})
    assert all(sign == "\n" or sign.isprintable() for sign in text)
