"""The plot of a transfer: the answer, or that there is none, with the best guess where there is one."""

import numpy as np
import pytest

from lrtool.analysis.search.transfer.extrapolate import extrapolate
from lrtool.report.transfer.plot import TransferPlot, draw_transfer
from tests.analysis.search.transfer.support import points

BATCHES = (16, 32, 64, 128)


def root(batch):
    return 0.01 * batch**0.5


def answered():
    return extrapolate(points(root, {"batch": BATCHES}), {"batch": 1024})


def guessed():
    return extrapolate(points(root, {"batch": (128,)}, curvature=0.3), {"batch": 128.0 * 64}, {"batch": (0.5, 0.5)})


def refused():
    bent = points(
        lambda batch: 0.1 * np.exp(-0.25 * np.log(batch / 45) ** 2), {"batch": tuple(4**k for k in range(1, 7))}
    )
    return extrapolate(bent, {"batch": 4**9})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (answered, {"the target, 95% interval"}),
        (guessed, {"the target: refused", "best guess, 95% interval"}),
        (refused, {"the target: refused"}),
    ],
)
def test_the_legend_says_what_stands_at_the_target(found, words):
    axes = draw_transfer(TransferPlot.of(found(), "made-up")).axes[0]
    labels = set(axes.get_legend_handles_labels()[1])
    assert words <= labels and not {each for each in labels - words if "target" in each or "guess" in each}


def test_a_guess_stands_where_it_is_said_to_and_is_hollow():
    found = guessed()
    axes = draw_transfer(TransferPlot.of(found, "made-up")).axes[0]
    (marked,) = [line for line in axes.lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert marked.get_xdata()[0] == found.target["batch"] and marked.get_ydata()[0] == found.guess.lr
    assert marked.get_markerfacecolor() == "white"
    low, high = found.guess.interval
    bottom, top = axes.get_ylim()
    assert bottom < low < high < top
