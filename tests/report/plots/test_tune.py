import numpy as np
import pytest

from lrtool.report.plots.tune import draw_tune
from tests.report.plots.made_up.range_tests import ALL_METHODS as METHODS
from tests.report.plots.made_up.tunes import SITUATIONS


def counted(axes, sign):
    """Trials counted along the upper edge after this sign."""
    words = " ".join(text.get_text() for text in axes.texts).split()
    return sum(int(word[1:]) for word in words if word[0] == sign)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_trial_is_drawn_or_counted(situation):
    shown = SITUATIONS[situation]()
    axes = draw_tune(shown).axes[0]
    points = sum(len(line.get_xdata()) for line in axes.lines if line.get_gid() == "trials")
    losses = np.concatenate([curve.loss for curve in shown.curves])
    assert counted(axes, "×") == np.isnan(losses).sum()
    assert points + counted(axes, "×") + counted(axes, "↑") == len(losses)


def test_each_schedule_has_its_lr_and_interval_and_the_best_is_shaded():
    figure = draw_tune(SITUATIONS["schedules that agree"]())
    rows = [text.get_text() for text in figure.axes[1].texts]
    assert {row.split(" 0.")[0] for row in rows} == {"cosine", "one cycle", "wsd"} and all("…" in row for row in rows)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert {"95% interval", "cannot be told from the best"} <= set(labels)


def test_where_no_lr_can_be_named_none_is_marked():
    for situation in ("everything diverged", "no LR matters"):
        figure = draw_tune(SITUATIONS[situation]())
        assert [text.get_text() for text in figure.axes[1].texts] == ["cosine: no LR can be named"]
        assert "95% interval" not in figure.axes[0].get_legend_handles_labels()[1]


def test_an_interval_that_is_open_at_the_edge_says_so():
    figure = draw_tune(SITUATIONS["the best at the upper edge"]())
    (row,) = [text.get_text() for text in figure.axes[1].texts]
    assert row.endswith("… unknown)")


def test_the_legend_explains_signs_and_the_rows_name_schedules():
    figure = draw_tune(SITUATIONS["nine schedules and methods"]())
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len([name for name in names if name.split()[0] not in METHODS]) <= 6
    assert len(figure.axes[1].texts) == 9


def test_no_two_schedules_look_the_same():
    axes = draw_tune(SITUATIONS["twelve schedules"]()).axes[0]
    fits = [line for line in axes.lines if line.get_linestyle() != "None" and len(line.get_xdata()) > 20]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in fits}) == 12
