from dataclasses import replace

import numpy as np
import pytest

from lrtool.analysis.lr_fit import fit_response
from lrtool.report.plots.tune import TunedCurve, TunePlot, draw_tune
from tests.report.reading import assert_every_label_can_be_read

LRS = np.geomspace(0.004, 1, 9)
PEERS = {"valley": 0.0127, "lightning": 0.044, "steepest": 0.0445, "steep": 0.063, "stability": 0.061, "slide": 0.19}


def tuned(name="cosine", best=0.1, diverges=0.6, loss=0.1):
    """Three seeds at nine LRs; those above `diverges` diverge."""
    noise = np.exp(0.05 * np.random.default_rng(0).standard_normal((len(LRS), 3)))
    losses = loss * np.exp(0.25 * np.log(LRS / best) ** 2)[:, None] * noise
    losses[diverges < LRS] = np.nan
    found = fit_response(LRS, losses)
    flat = losses.reshape(-1)
    return TunedCurve(
        name, np.repeat(LRS, 3), flat, found.grid, found.fit, found.lr, found.interval, found.within_noise
    )


def plot(*curves, peers=PEERS):
    return TunePlot("digits: final loss against peak LR", "best peak LR 0.165 under cosine", curves, peers)


def flat():
    losses = 0.1 + 0.01 * np.random.default_rng(0).standard_normal((9, 3))
    found = fit_response(LRS, losses)
    return TunedCurve("cosine", np.repeat(LRS, 3), losses.reshape(-1), found.grid, found.fit, None, None, None)


KINDS = ("cosine", "one_cycle", "wsd", "linear", "polynomial", "slanted_triangular", "inverse_sqrt", "rex", "tanh")
SITUATIONS = {
    "one schedule": plot(tuned()),
    "schedules that agree": plot(tuned(), tuned("one_cycle", 0.11, loss=0.12), tuned("wsd", 0.09, loss=0.13)),
    "more schedules than colours": plot(*(tuned(name, 0.05 * k) for k, name in enumerate(KINDS, 1))),
    "peers far outside the grid": plot(tuned(), peers={**PEERS, "valley": 1e-9, "slide": 1e4}),
    "everything diverged": plot(tuned(diverges=0.0)),
    "no LR matters": plot(flat()),
    "the best at the upper edge": plot(tuned(best=30.0, diverges=9.0)),
    "the best at the lower edge": plot(tuned(best=1e-4)),
    "one LR": plot(replace(tuned(), lr=np.full(3, 0.1), loss=np.array([0.1, 0.2, np.nan])), peers={}),
}


def counted(axes, sign):
    """Trials counted along the upper edge after this sign."""
    words = " ".join(text.get_text() for text in axes.texts).split()
    return sum(int(word[1:]) for word in words if word[0] == sign)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_label_of_a_tune_can_be_read(situation):
    assert_every_label_can_be_read(draw_tune(SITUATIONS[situation]))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_trial_is_drawn_or_counted(situation):
    shown = SITUATIONS[situation]
    axes = draw_tune(shown).axes[0]
    points = sum(len(line.get_xdata()) for line in axes.lines if "each trial" in str(line.get_label()))
    losses = np.concatenate([curve.loss for curve in shown.curves])
    assert counted(axes, "×") == np.isnan(losses).sum()
    assert points + counted(axes, "×") + counted(axes, "↑") == len(losses)


def test_each_schedule_has_its_lr_and_interval_and_the_best_is_shaded():
    figure = draw_tune(SITUATIONS["schedules that agree"])
    rows = [text.get_text() for text in figure.axes[1].texts]
    assert {row.split(" 0.")[0] for row in rows} == {"cosine", "one cycle", "wsd"} and all("…" in row for row in rows)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert {"95% interval", "cannot be told from the best"} <= set(labels)


def test_where_no_lr_can_be_named_none_is_marked():
    for situation in ("everything diverged", "no LR matters"):
        figure = draw_tune(SITUATIONS[situation])
        assert not figure.axes[1].texts
        assert "95% interval" not in figure.axes[0].get_legend_handles_labels()[1]


def test_an_interval_that_is_open_at_the_edge_says_so():
    figure = draw_tune(SITUATIONS["the best at the upper edge"])
    (row,) = [text.get_text() for text in figure.axes[1].texts]
    assert row.endswith("… unknown)")
