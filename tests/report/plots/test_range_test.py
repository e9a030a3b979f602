from dataclasses import replace

import numpy as np
import pytest

from lrtool.analysis.range_test import analyse
from lrtool.analysis.range_test_result import LrEstimate, Probe
from lrtool.analysis.suggest import METHODS
from lrtool.report.plots.edge import loss_range
from lrtool.report.plots.lettering import headline
from lrtool.report.plots.range_test import RangeTestPlot, draw_range_test
from lrtool.report.plots.style import number, render
from tests.report.plots.made_up.range_tests import ALL_METHODS, AROUND, USUAL, made, probes


def labels(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def ramp(seeds=3, steps=80, fall=1.8):
    lr = np.geomspace(1e-5, 10, steps)
    noise = 0.05 * np.random.default_rng(1).standard_normal((seeds, steps))
    losses = 2.3 - fall / (1 + 0.03 / lr) + np.where(lr > 1, lr**3 - 1, 0) * (fall > 0) + noise
    losses[:, lr > 4] = np.nan if fall else losses[:, lr > 4]
    return lr, losses


def rows_of(figure):
    return [text.get_text() for text in figure.axes[1].texts]


def lines_down(axes):
    """LRs of the lines down a panel."""
    return [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]


def test_a_range_test_says_its_answer_in_title_and_legend():
    result = analyse(*ramp())
    plot = RangeTestPlot.of(result, "digits")
    figure = draw_range_test(plot)
    assert result.suggestion is not None
    assert (
        f"Suggested peak LR {number(result.suggestion.value)} (" in plot.answer and "from the ramp alone" in plot.answer
    )
    rows = [text.get_text() for text in figure.axes[1].texts]
    names = ["starts to fall", "suggested", "does not blow up until", "starts to explode"]
    assert [row.split(" 0.")[0] for row in rows] == names
    assert rows[1].startswith(f"suggested {number(result.suggestion.value)} (")
    # What other methods say is drawn only if it was asked for.
    assert not any(label.startswith("valley") for label in labels(figure))
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and axes.get_ylim()[1] < 5
    assert axes.get_ylim()[0] < np.nanmin(result.mean)


def test_a_range_test_without_suggestion_says_why():
    plot = RangeTestPlot.of(analyse(*ramp(fall=0)), "flat")
    assert plot.answer.startswith("No suggestion: the loss did not change by more than its noise")
    figure = draw_range_test(plot)
    assert "No suggestion" in headline(figure)
    assert not figure.axes[1].texts


def measured(seeds=3, steps=80, **found):
    lrs = {name: found.pop(name) for name in ("start", "end") if name in found}
    lr, losses = ramp(seeds, steps)
    inside = (lr >= lrs.get("start", 0)) & (lr <= lrs.get("end", np.inf))
    estimates = {name: LrEstimate(*values) for name, values in found.items()}
    result = replace(analyse(lr[inside], losses[:, inside]), source="30 short trainings", **estimates)
    return RangeTestPlot.of(result.cautioned(), "digits")


SITUATIONS = {
    "far apart": {"suggestion": (0.1, 0.08, 0.2), "stability": (0.35, 0.3, 0.4)},
    "all in one place": {
        "lower": (1.0, 0.99, 1.01), "suggestion": (1.05, 1.03, 1.08), "stability": (1.02, 1.0, 1.03),
        "upper": (1.1, 1.05, 1.2),
    },
    "a narrow ramp": {"start": 0.01, "end": 0.1, "suggestion": (0.05, 0.02, 0.09), "stability": (0.07, 0.07, np.inf)},
    "a suggestion and a limit beyond": {"end": 0.1, "suggestion": (2.0, 1.5, 3.0), "stability": (60.0, 20.0, np.inf)},
    "a suggestion below": {"suggestion": (1e-8, 1e-12, 1e-7), "stability": (1e-7, 1e-7, 2e-7)},
    "open at both ends": {"suggestion": (0.1, 0.0, np.inf), "stability": (1e3, 0.0, np.inf)},
    "intervals wider than the ramp": {
        "start": 0.01, "end": 1.0, "suggestion": (0.1, 1e-4, 20.0), "stability": (0.1, 1e-3, 100.0),
    },
    "one seed": {"seeds": 1, "suggestion": (0.5, 0.1, 2.0), "stability": (0.3, 0.2, 0.4)},
}  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_answer_of_a_range_test_has_its_row(situation):
    plot = measured(**SITUATIONS[situation])
    rows = " ".join(rows_of(draw_range_test(plot)))
    assert f"suggested {number(plot.suggestion.value)} (" in rows
    assert f"does not blow up until {number(plot.stability.value)} (" in rows


def test_what_lies_beyond_the_axis_is_an_arrow_and_open_ends_are_unknown():
    figure = draw_range_test(measured(suggestion=(0.1, 0.08, 0.2), stability=(0.35, 0.3, np.inf)))
    assert "does not blow up until 0.35 (0.3 … unknown)" in rows_of(figure)
    assert [line.get_marker() for line in figure.axes[1].lines].count(">") == 1
    far = measured(end=0.1, suggestion=(0.02, 0.01, 0.03), stability=(60.0, 20.0, 80.0))
    assert far.span[1] < 0.2
    figure = draw_range_test(far)
    assert "does not blow up until 60 (20 … 80)  → above the LRs that were tried" in rows_of(figure)
    assert ">" in [line.get_marker() for line in figure.axes[1].lines]


def test_the_plot_says_that_the_suggestion_lies_above_the_limit():
    above = measured(suggestion=(0.5, 0.45, 0.6), stability=(0.35, 0.3, 0.4))
    assert "lies above the LR from which" in headline(draw_range_test(above))
    assert "lies above" not in measured(suggestion=(0.3, 0.2, 0.4), stability=(0.35, 0.3, 0.4)).answer


def test_methods_that_say_the_same_stand_on_each_other():
    plot = replace(measured(), methods={"one": 0.1, "other": 0.101, "third": 0.5, "far": 1e-9})
    shapes = [line for line in draw_range_test(plot).axes[0].lines if str(line.get_label()).split()[0] in plot.methods]
    height = {str(line.get_label()).split()[0]: float(line.get_ydata()[0]) for line in shapes}
    assert height["other"] > height["one"] == height["third"] == height["far"]
    assert "far 1e-9, off the axis ←" in [line.get_label() for line in shapes]


def test_validation_along_the_ramp_is_drawn():
    lr, losses = ramp()
    figure = draw_range_test(RangeTestPlot.of(analyse(lr, losses), "digits", [(lr[::10], losses[0, ::10])]))
    assert "validation" in labels(figure)


@pytest.mark.parametrize(("seeds", "steps"), [(1, 1), (1, 80), (12, 40)])
def test_any_size_of_range_test_can_be_drawn(seeds, steps):
    figure = draw_range_test(RangeTestPlot.of(analyse(*ramp(seeds, steps)), "a name " * 40))
    assert render(figure, "png").startswith(b"\x89PNG")


def test_a_range_test_with_no_finite_loss_says_so():
    lr, losses = ramp()
    figure = draw_range_test(RangeTestPlot.of(analyse(lr, np.full_like(losses, np.nan)), "nan"))
    assert "no finite loss was measured" in [text.get_text() for text in figure.axes[0].texts]


def test_probes_are_points_their_medians_a_line_and_blown_up_ones_are_counted():
    trained = probes([0.03, 0.1, 0.3, 2.0, 4.0], lost=1.5)
    figure = draw_range_test(made(trained=trained, **USUAL))
    ramp, _, panel = figure.axes
    assert panel.get_xlim() == ramp.get_xlim() and "short trainings" in panel.get_ylabel()
    (points,) = [line for line in panel.lines if line.get_label() == "training of 200 updates, a seed"]
    finite = sorted(probe.loss for probe in trained if probe.lr < 1)
    assert sorted(points.get_ydata())[: len(finite)] == finite
    (median,) = [line for line in panel.lines if line.get_label() == "median of seeds, 200 updates"]
    at = [probe.loss for probe in trained if probe.lr == 0.1]
    assert median.get_ydata()[1] == np.median(at) and np.isnan(median.get_ydata()[-1])
    assert [text.get_text() for text in panel.texts] == ["×1 ↑1", "×3"]
    assert "blew up (×), how many" in labels(figure)


def test_probes_of_two_lengths_have_a_line_each():
    figure = draw_range_test(made(trained=(*probes(AROUND), *probes(AROUND[2:7], steps=800)), **USUAL))
    lines = {line.get_label(): line for line in figure.axes[2].lines}
    first, second = (lines[f"median of seeds, {steps} updates"] for steps in (800, 200))
    assert first.get_color() != second.get_color() and first.get_linestyle() != second.get_linestyle()


def test_where_every_probe_blew_up_it_says_so():
    panel = draw_range_test(made(trained=[Probe(lr, 0, 9, np.nan) for lr in (0.1, 1.0)], **USUAL)).axes[2]
    assert "every short training blew up" in [text.get_text() for text in panel.texts]


def test_a_suggestion_is_drawn_only_where_there_is_data():
    beyond = {"suggestion": (2.0, 1.5, 3.0), "stability": None, "lower": None, "upper": None}
    (ramp, _) = draw_range_test(made(ramp_of={"end": 0.1}, **beyond)).axes
    assert not lines_down(ramp) and not ramp.patches and ramp.get_xlim()[1] < 0.2
    trained = probes([0.5, 1, 2, 4], best=2, lost=9)
    figure = draw_range_test(made(trained=trained, ramp_of={"end": 0.1}, **beyond))
    assert not lines_down(figure.axes[0]) and lines_down(figure.axes[2]) == [2.0]
    assert rows_of(figure) == ["suggested 2 (1.5 … 3)"]
    gap = {**beyond, "suggestion": (0.2, 0.15, 0.3)}
    figure = draw_range_test(made(trained=trained, ramp_of={"end": 0.1}, **gap))
    assert not lines_down(figure.axes[0]) and not lines_down(figure.axes[2])
    assert rows_of(figure) == ["suggested 0.2 (0.15 … 0.3)  not among the LRs that were tried"]


def test_a_method_has_the_same_marker_everywhere():
    several = draw_range_test(made(methods=ALL_METHODS)).axes[0].lines
    one = draw_range_test(made(methods={"slide": 0.19})).axes[0].lines
    shapes = {str(line.get_label()).split()[0]: line.get_marker() for line in several}
    (alone,) = [line.get_marker() for line in one if str(line.get_label()).startswith("slide")]
    assert alone == shapes["slide"]
    assert len({shapes[method] for method in METHODS.kinds}) == len(METHODS.kinds)


def test_what_the_budget_did_not_hold_is_said():
    figure = draw_range_test(replace(made(), left_out=("2 of 3 seeds",)))
    assert "Left out to stay within the budget: 2 of 3 seeds" in headline(figure)


def test_no_point_of_a_line_lies_among_the_counts_of_those_off_the_scale():
    finals = {0.001: 2.3, 0.003: 1.7, 0.01: 0.4, 0.03: 0.1, 0.1: 0.08, 0.3: 0.09, 1.0: 0.5}
    trained = [Probe(lr, seed, 9, loss * (1 + seed / 50)) for lr, loss in finals.items() for seed in range(3)]
    panel = draw_range_test(made(trained=trained, **USUAL)).axes[2]
    counted = [text for text in panel.texts if "↑" in text.get_text()]
    (line,) = [each for each in panel.lines if each.get_label().startswith("median")]
    end = line.get_clip_box().y1
    (points,) = [each for each in panel.lines if each.get_label().startswith("training of")]
    shown = points.get_ydata()
    assert counted and len(shown) < len(trained)
    assert end < panel.transData.transform((1, 1.7))[1] and end >= panel.transData.transform((1, max(shown)))[1] - 1


def test_losses_that_are_as_good_as_the_same_are_all_on_the_scale():
    finals = [0.1, 0.09, 0.08, 0.09, 0.1, 0.1, 0.2, 1.07, 1.0701, 1.0702, 1.0703]
    low, most = loss_range(np.array(finals))
    assert low == 0.08 and most >= 1.0703
    assert loss_range(np.array([*finals, 5.0, 90.0]))[1] < 2
