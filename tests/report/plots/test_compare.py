import math

import numpy as np
import pytest

from lrtool.analysis.statistics.comparison import compare
from lrtool.analysis.statistics.student import quantile
from lrtool.comparison.lr_response import LrResponse
from lrtool.comparison.outcomes import Outcome
from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.variants import Variant
from lrtool.comparison.verdict import verdict
from lrtool.report.plots.compare import OverlayPlot, draw_overlay
from lrtool.report.plots.compare_rows import ForestPlot, TargetPlot, draw_forest, draw_target
from lrtool.report.terminal.compare import look_text, table_text, to_csv, tolerance_text


def variant(name, finals, diverged=()):
    """A variant whose validation loss falls from 1 above its final value, at steps 10, 20, 30."""
    outcomes = {}
    for seed, final in enumerate(finals):
        curve = {
            "step": np.arange(1.0, 31.0), "lr": np.full(30, 0.1), "seconds": np.arange(1.0, 31.0) / 10,
            "val_loss": np.where(np.arange(1, 31) % 10 == 0, final + 1.5 - np.arange(1, 31) / 20, np.nan),
        }  # fmt: skip
        outcomes[seed] = Outcome(name, seed, seed in diverged, {"val_loss": final}, curve, 3.0, {})
    return Variant(name, outcomes)


def ranked(*variants):
    result = compare({each.name: each.values("val_loss") for each in variants})
    named = {each.name: each for each in variants}
    return result, [named[standing.name] for standing in result.standings]


def test_the_band_is_the_interval_over_seeds():
    plot = OverlayPlot.of("title", "answer", [variant("a", [0.0, 0.2, 0.4])])
    (band,) = plot.bands
    assert band.step.tolist() == [10, 20, 30] and band.mean == pytest.approx([1.2, 0.7, 0.2])
    half = quantile(3) * 0.2 / math.sqrt(3)
    assert band.high - band.mean == pytest.approx([half] * 3) and band.mean - band.low == pytest.approx([half] * 3)
    figure = draw_overlay(plot)
    assert [axes.get_ylabel() for axes in figure.axes] == ["validation loss", "learning rate"]


def test_curves_leave_out_seeds_that_diverged():
    (band,) = OverlayPlot.of("t", "a", [variant("a", [0.0, 9.0], diverged={1})]).bands
    assert band.seeds == 1 and band.mean[-1] == 0 and np.isnan(band.low).all()
    lost = OverlayPlot.of("t", "a", [variant("a", [1.0], diverged={0})])
    assert any("no seed has a finite loss" in text.get_text() for text in draw_overlay(lost).axes[0].texts)


def test_only_as_many_curves_as_can_be_told_apart():
    plot = OverlayPlot.of("t", "a", [variant(str(place), [place]) for place in range(11)])
    assert len(plot.bands) == 8 and plot.left_out == 3
    # So many names would cover the curves: they stand below.
    figure = draw_overlay(plot)
    assert figure.axes[0].get_legend() is None
    assert "3 worse variants" in figure.legends[0].get_title().get_text()


def test_the_forest_has_each_seed_the_mean_and_what_diverged():
    result, order = ranked(variant("b", [1.0, 1.1, 1.05]), variant("a", [0.1, 0.2, 0.16]), variant("c", [3, 4], {1}))
    plot = ForestPlot.of("t", "a", "val_loss", order, result)
    assert [row.name for row in plot.rows] == ["a", "b", "c"]
    assert [row.apart for row in plot.rows] == [False, True, False]
    assert plot.rows[0].values.tolist() == [0.1, 0.2, 0.16] and plot.rows[2].diverged == 1
    axes = draw_forest(plot).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in axes.texts] == ["1 seed diverged"]


def test_bars_to_the_target_count_seeds_that_never_arrive():
    plot = TargetPlot.of("t", 0.75, [variant("a", [0.1, 0.2, 0.7]), variant("b", [0.7, 0.8, 0.9])])
    assert [steps.tolist() for steps in plot.steps] == [[20, 20, 30], [30]] and plot.seeds == (3, 3)
    assert plot.answer == "a reaches a validation loss of 0.75 first, after 20 updates (median of seeds)"
    axes = draw_target(plot).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [20]
    assert "1 of 3 seeds reach it" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": [1.0, 1.1, 0.9], "b": [2.0, 2.2, 1.9]}, "a is best, told apart from all others with 3 seeds"),
        ({"a": [1.0], "b": [2.0]}, "cannot tell a and b apart: they share 1 seed, which says nothing about the noise"),
        ({"a": [1.0, 1.4, 0.9], "b": [1.1, 1.0, 1.6]}, r"cannot tell .* 3 seeds are too few .* about \d+ seeds would"),
        ({"a": [1.0, 2.0], "b": [1.0, 2.0]}, "all 2 seeds give both the same value"),
        (
            {"a": [1.0, 1.4, 0.9], "b": [1.1, 1.0, 1.6], "c": [90.0, 90.5, 89.8]},
            "cannot tell a and b apart: .* would be needed; c is worse$",
        ),
        ({"a": [1.0, 1.2, 1.1], "b": [1.2, 1.0, 1.1]}, "difference this small; more than 10,000 seeds would be needed"),
        ({"a": [1.0, 1.4], "b": [1.1, 1.0], "c": [1.2, 1.3]}, "cannot tell .* apart from .*, .* with 2 seeds; about"),
        ({"a": [1.0]}, "the only variant"),
        ({"a": [math.nan], "b": [math.nan]}, "every seed of every variant diverged"),
    ],
)
def test_the_verdict_says_what_the_seeds_can_tell(values, said):
    import re

    assert re.search(said, verdict(compare({name: dict(enumerate(each)) for name, each in values.items()})))


def test_those_that_arrive_first_are_all_named_and_no_seed_hides_another():
    plot = TargetPlot.of("t", 0.75, [variant("a", [0.1, 0.2, 0.2]), variant("b", [0.1, 0.2]), variant("c", [0.9])])
    assert plot.answer == "a, b reach a validation loss of 0.75 after 20 updates (median of seeds)"
    assert TargetPlot.of("t", 0.01, [variant("a", [0.5])]).answer.startswith("no variant reaches")
    dots = draw_target(plot).axes[0].lines[0]
    assert dots.get_xdata().tolist() == [20] * 3 and len(set(dots.get_ydata())) == 3


def test_a_mean_that_is_out_of_the_picture_is_written_at_its_edge():
    names = [variant("a", [1.0, 1.1, 1.05]), variant("b", [1.1, 1.2, 1.15]), variant("wild", [900.0, 950.0, 870.0])]
    result, order = ranked(*names, variant("c", [1.2, 1.0, 1.15]))
    axes = draw_forest(ForestPlot.of("t", "a", "val_loss", order, result)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["mean 907 →"] and axes.get_xlim()[1] < 10
    close, order = ranked(
        *(variant(name, [end, end + 0.02]) for name, end in zip("abc", (0.9, 0.9001, 0.93), strict=True))
    )
    axes = draw_forest(ForestPlot.of("t", "a", "val_loss", order, close)).axes[0]
    # What lies within the seeds' own spread is drawn with its whole interval.
    assert axes.get_xlim()[1] > close.standings[2].estimate.interval[1]
    wide, order = ranked(variant("a", [0.01, 0.012]), variant("b", [0.5, 0.6]))
    assert draw_forest(ForestPlot.of("t", "a", "val_loss", order, wide)).axes[0].get_xscale() == "log"


def test_long_names_stay_different_and_leave_room(tmp_path):
    long = [f"cosine decay with a linear warm-up of {part} percent of all updates" for part in ("five", "twenty")]
    result, order = ranked(*(variant(name, [0.1, 0.3]) for name in long))
    figures = [
        draw_overlay(OverlayPlot.of("t", "a" * 30, order)),
        draw_forest(ForestPlot.of("t", "cannot tell " * 20, "val_loss", order, result)),
        draw_target(TargetPlot.of("t", 0.5, order)),
    ]
    rows = [tick.get_text() for tick in figures[1].axes[0].get_yticklabels()]
    assert len(set(rows)) == 2 and "five" in rows[0] and "twenty" in rows[1]
    for figure in figures:
        figure.draw_without_rendering()
        width = figure.bbox.width
        for axes in figure.axes:
            for text in (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.get_yticklabels()):
                box = text.get_window_extent()
                assert not text.get_text() or (box.x0 >= -1 and box.x1 <= width + 1), text.get_text()
    report = ComparisonResult("val_loss", result, tuple(order), None)
    assert "five" in cells(report) and "twenty" in cells(report)


def cells(report):
    return table_text(report)


def test_the_steps_to_a_target_have_an_interval_with_enough_seeds():
    result, order = ranked(variant("a", [0.1, 0.1, 0.7, 0.1, 0.1, 0.7, 0.9]), variant("b", [0.1, 0.2]))
    report = ComparisonResult("val_loss", result, tuple(order), 0.75)
    rows = {row["variant"]: row for row in report.rows()}
    assert (rows["a"]["steps_to_target"], rows["a"]["steps_low"], rows["a"]["steps_high"]) == (20, 20, None)
    assert rows["a"]["reached_target"] == 6 and rows["b"]["steps_low"] is None
    assert "20 [20, never] (6 of 7)" in cells(report)
    assert [row["variant"] for row in report.rows(1)] == [order[0].name]


def test_losses_far_apart_get_a_log_axis_and_lrs_too():
    plot = OverlayPlot.of("t", "a", [variant("a", [0.01])])
    assert draw_overlay(plot).axes[0].get_yscale() == "log"
    small, large = variant("a", [0.01]), variant("b", [0.01])
    large.outcomes[0].curve["lr"][:] = 100.0
    assert draw_overlay(OverlayPlot.of("t", "a", [small, large])).axes[1].get_yscale() == "log"
    assert draw_overlay(plot).axes[1].get_yscale() == "linear"


def test_the_table_for_scripts_has_no_invented_numbers():
    result, order = ranked(variant("a", [0.5]), variant("b", [0.7], {0}))
    report = ComparisonResult("val_loss", result, tuple(order), 0.9)
    first, second = report.rows()
    assert first["mean"] == 0.5 and first["low"] is None and first["steps_to_target"] == 30
    assert second["mean"] is None and second["diverged"] == 1 and second["p_holm"] is None
    assert to_csv(report).splitlines()[0].startswith("rank,variant,chosen,tried,seeds,diverged,mean,low,high")


def test_how_far_the_lr_may_be_off_is_said_of_each_variant():
    values = np.array([[1.0, 1.2], [0.5, 0.52], [2.0, 2.1]])
    response = LrResponse("cosine", np.array([0.01, 0.1, 1.0]), values, np.zeros(3, dtype=int))
    result, order = ranked(variant("cosine", [0.5, 0.52]), variant("wsd", [0.7, 0.8]))
    report = ComparisonResult("val_loss", result, tuple(order), None, responses=(response,))
    (said,) = report.document()["tolerances"]
    assert said["variant"] == "cosine" and 0.01 < said["low"] < 0.1 < said["high"] < 1
    text = tolerance_text(said)
    assert text.startswith("LRs within 10% of the best of cosine: 0.0") and "95% interval [" in text
    assert "at least" not in text and "at least" in tolerance_text({**said, "open": True})


def test_variants_without_a_common_seed_are_told_what_to_do():
    assert "they share no seed" in verdict(compare({"a": {0: 1.0, 1: 1.1}, "b": {2: 1.2, 3: 1.3}}))


def test_a_variant_that_diverged_is_not_said_to_be_told_apart():
    tables = {"a": {0: 1.0, 1: 1.1, 2: 0.9}, "b": {0: 0.5, 1: 0.4, 2: math.nan}}
    said = "b diverged in some seeds and cannot be compared"
    assert verdict(compare(tables)) == f"a ranks first with 3 seeds, untested: {said}"
    tables["c"] = {0: 5.0, 1: 5.2, 2: 4.9}
    assert verdict(compare(tables)) == (
        f"a is best, told apart with 3 seeds from all others that can be compared; {said}"
    )


def by_median(*variants):
    values = {each.name: each.values("val_loss") for each in variants}
    result = compare(values, statistic="median")
    named = {each.name: each for each in variants}
    return result, [named[standing.name] for standing in result.standings]


EVEN = [0.98, 1.0, 1.02, 0.99, 1.01, 1.03, 0.97]


def test_seeds_with_an_outlier_are_marked_and_explained():
    plain, odd = variant("plain", EVEN), variant("odd", [*(each + 0.05 for each in EVEN[1:]), 3.0])
    result, order = ranked(plain, odd)
    report = ComparisonResult("val_loss", result, tuple(order), None)
    (marked,) = [line for line in cells(report).splitlines() if "] *" in line]
    assert marked.startswith("odd")
    assert look_text(report).startswith(
        "* of odd, seed 6 is an outlier and the seeds are skewed: the mean's interval may"
    )
    assert "--statistic median" in look_text(report)
    rows = {row["variant"]: row for row in report.document()["variants"]}
    assert rows["odd"]["outliers"] == [6] and rows["odd"]["skewed"] and rows["plain"]["outliers"] == []
    assert ",6,True" in next(line for line in to_csv(report).splitlines() if ",odd," in line)
    figure = draw_forest(ForestPlot.of("t", "a", "val_loss", order, result))
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["plain", "odd *"]
    assert "the interval may hold less often" in figure.get_supxlabel().replace("\n", " ")
    result, order = ranked(plain)
    assert (
        look_text(ComparisonResult("val_loss", result, tuple(order), None)) == ""
        and "*" not in cells(report).splitlines()[1]
    )


def test_medians_in_the_table_and_the_plots():
    plain, odd = variant("plain", EVEN), variant("odd", [*(each - 0.05 for each in EVEN[1:]), 3.0])
    # By means one seed decides; by medians it does not.
    assert ranked(plain, odd)[0].best.name == "plain"
    result, order = by_median(plain, odd)
    assert result.best.name == "odd"
    report = ComparisonResult("val_loss", result, tuple(order), None)
    document = report.document()
    assert document["statistic"] == "median" and document["variants"][0]["median"] == pytest.approx(0.96)
    assert "median val_loss" in cells(report) and "0.96 " in cells(report)
    assert "medians are compared" in look_text(report)
    forest = ForestPlot.of("t", "a", "val_loss", order, result)
    assert forest.rows[0].mean == pytest.approx(0.96) and not forest.rows[0].odd
    assert "median, 95% interval" in draw_forest(forest).get_supxlabel()
    overlay = OverlayPlot.of("t", "a", order, statistic="median")
    assert overlay.bands[0].mean[-1] == pytest.approx(0.96) and np.isfinite(overlay.bands[0].low).all()
    assert draw_overlay(overlay).legends[0].get_title().get_text().startswith("median")
