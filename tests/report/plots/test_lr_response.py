import numpy as np
import pytest

from lrtool.comparison.lr_response import LrResponse
from lrtool.report.plots.lr_response import HeatPlot, LrPlot, draw_heat, draw_lr

LRS = np.array([0.01, 0.1, 1.0])


def response(name, means, lr=LRS, diverged=None):
    values = np.array(means, dtype=float)[:, None] * np.array([0.9, 1.1])
    lost = np.zeros(len(lr), dtype=int) if diverged is None else np.array(diverged)
    return LrResponse(name, np.asarray(lr), np.where(lost[:, None] > 0, np.nan, values), lost)


def test_the_best_lr_of_each_variant_is_ringed_and_named():
    plot = LrPlot.of("t", "val_loss", False, [response("a", [3, 1, 2]), response("b", [1, 2, 9], diverged=[0, 0, 1])])
    assert plot.answer == "best LR of each: a: LR 0.1; b: LR 0.01 (the smallest tried)"
    axes = draw_lr(plot).axes[0]
    rings = [line for line in axes.lines if line.get_markersize() == 11]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in rings] == [(0.1, 1.0), (0.01, 1.0)]
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in crosses] == [[1.0]]


def test_of_an_accuracy_the_largest_is_best():
    plot = LrPlot.of("t", "val_accuracy", True, [response("", [0.5, 0.9, 0.1])])
    assert plot.answer == "best: LR 0.1"
    assert draw_lr(plot).axes[0].get_yscale() == "linear"


def test_lrs_drawn_at_random_are_points_and_no_heat_map():
    rng = np.random.default_rng(0)
    drawn = [response(name, [1, 2, 3], lr=np.sort(rng.random(3))) for name in "abc"]
    plot = LrPlot.of("t", "val_loss", False, drawn)
    assert not plot.shared and HeatPlot.of("t", "val_loss", False, drawn) is None
    assert draw_lr(plot).axes[0].lines[0].get_linestyle() == "None"


def test_the_heat_map_has_a_row_a_variant_and_outlines_the_best():
    rows = [response("a", [3, 1, 2]), response("b", [4, 0.5], lr=LRS[1:], diverged=[0, 1])]
    plot = HeatPlot.of("t", "val_loss", False, rows)
    np.testing.assert_allclose(plot.mean, [[3, 1, 2], [np.nan, 4, np.nan]])
    assert plot.diverged.tolist() == [[False] * 3, [False, False, True]]
    assert plot.best == (0, 1) and plot.answer == "best: a at LR 0.1, validation loss 1"
    figure = draw_heat(plot)
    axes, bar = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert {text.get_text() for text in axes.texts} >= {"3", "1", "2", "4"}
    assert "validation loss" in bar.get_ylabel()
    assert [patch.get_xy() for patch in axes.patches if patch.get_hatch()] == [(2, 1)]


@pytest.mark.parametrize("count", [1, 12, 40])
def test_many_variants_are_cut_and_said_to_be(count):
    rows = [response(str(place), [3, 1, 2]) for place in range(count)]
    plot = LrPlot.of("t", "val_loss", False, rows)
    assert len(plot.responses) == min(count, 8) and plot.left_out == max(0, count - 8)
    heat = HeatPlot.of("t", "val_loss", False, rows)
    assert (heat is None) == (count == 1)
    assert heat is None or heat.left_out == max(0, count - 30)


def test_where_everything_diverged_it_says_so():
    lost = [response(name, [1, 1, 1], diverged=[1, 1, 1]) for name in "ab"]
    plot = LrPlot.of("t", "val_loss", False, lost)
    assert "every LR diverged" in plot.answer
    assert any("every LR diverged" in text.get_text() for text in draw_lr(plot).axes[0].texts)
    heat = HeatPlot.of("t", "val_loss", False, lost)
    assert heat.answer == "every variant diverged at every LR"
    draw_heat(heat)
