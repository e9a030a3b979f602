import math

import numpy as np
import pytest

from lrtool.analysis.comparison import compare
from lrtool.analysis.student import quantile
from lrtool.report.compare import ForestPlot, OverlayPlot, TargetPlot, draw_forest, draw_overlay, draw_target
from lrtool.report.compare_text import Report, to_csv, tolerance_text, verdict
from lrtool.runs.lr_response import LrResponse
from lrtool.runs.outcomes import Outcome
from lrtool.runs.variants import Variant


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
    assert "3 worse variants" in draw_overlay(plot).axes[0].get_legend().get_title().get_text()


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
    assert plot.answer == "a reaches a loss of 0.75 first, after 20 updates (median of seeds)"
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
        ({"a": [1.0, 1.4], "b": [1.1, 1.0], "c": [1.2, 1.3]}, "cannot tell .* apart from .*, .* with 2 seeds; about"),
        ({"a": [1.0]}, "the only variant"),
        ({"a": [math.nan], "b": [math.nan]}, "every seed of every variant diverged"),
    ],
)
def test_the_verdict_says_what_the_seeds_can_tell(values, said):
    import re

    assert re.search(said, verdict(compare({name: dict(enumerate(each)) for name, each in values.items()})))


def test_the_table_for_scripts_has_no_invented_numbers():
    result, order = ranked(variant("a", [0.5]), variant("b", [0.7], {0}))
    report = Report("val_loss", result, tuple(order), 0.9)
    first, second = report.rows()
    assert first["mean"] == 0.5 and first["low"] is None and first["steps_to_target"] == 30
    assert second["mean"] is None and second["diverged"] == 1 and second["p_holm"] is None
    assert to_csv(report).splitlines()[0].startswith("rank,variant,chosen,tried,seeds,diverged,mean,low,high")


def test_how_far_the_lr_may_be_off_is_said_of_each_variant():
    values = np.array([[1.0, 1.2], [0.5, 0.52], [2.0, 2.1]])
    response = LrResponse("cosine", np.array([0.01, 0.1, 1.0]), values, np.zeros(3, dtype=int))
    result, order = ranked(variant("cosine", [0.5, 0.52]), variant("wsd", [0.7, 0.8]))
    report = Report("val_loss", result, tuple(order), None, responses=(response,))
    (said,) = report.document()["tolerances"]
    assert said["variant"] == "cosine" and 0.01 < said["low"] < 0.1 < said["high"] < 1
    text = tolerance_text(said)
    assert text.startswith("LRs within 10% of the best: cosine: 0.0") and "95% interval [" in text
    assert "at least" not in text and "at least" in tolerance_text({**said, "open": True})


def test_a_variant_that_diverged_is_not_said_to_be_told_apart():
    tables = {"a": {0: 1.0, 1: 1.1, 2: 0.9}, "b": {0: 0.5, 1: 0.4, 2: math.nan}}
    said = "b diverged in some seeds and cannot be compared"
    assert verdict(compare(tables)) == f"a ranks first with 3 seeds, untested: {said}"
    tables["c"] = {0: 5.0, 1: 5.2, 2: 4.9}
    assert verdict(compare(tables)) == (
        f"a is best, told apart with 3 seeds from all others that can be compared; {said}"
    )
