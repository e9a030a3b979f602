"""Figures of every kind, of runs of every kind: all that is written can be read.

These are the hardest; `python -m tests.benchmarks.figures FOLDER` draws and tests them all.
"""

import pytest

from tests.report.plots.made_up import ALL
from tests.report.reading import assert_every_label_can_be_read

HARDEST = (
    "range test, usual", "range test, methods", "range test, all in one place", "range test, noisy probes",
    "range test, eight decades", "range test, a suggestion where nothing was tried", "range test, letters of all kinds",
    "tune, nine schedules and methods", "tune, twelve schedules", "tune, forty LRs", "tune, long names",
    "comparison, overlay of long names", "comparison, overlay of losses over decades", "comparison, forest of diverged",
    "comparison, forest of far apart", "comparison, target of letters of all kinds", "comparison, lines of twenty",
    "comparison, heat of sixty LRs", "training, training, metrics of every size", "training, training, an explosion",
    "training, training, groups", "training, training, losses of 1e9", "training, schedule, twenty",
)  # fmt: skip


@pytest.mark.parametrize("name", HARDEST)
def test_every_label_can_be_read(name):
    assert_every_label_can_be_read(ALL[name]())
