"""Figures of every kind, of runs of every kind, by name: to be tested and to be looked at."""

from tests.report.plots.made_up import comparisons, range_tests, trainings, tunes

ALL = {
    f"{kind}, {name}": make
    for kind, module in (
        ("range test", range_tests), ("tune", tunes), ("comparison", comparisons), ("training", trainings)
    )
    for name, make in module.FIGURES.items()
}  # fmt: skip
