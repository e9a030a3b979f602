"""Tunes as people's might be: plots of made-up losses."""

from dataclasses import replace

import numpy as np

from lrtool.analysis.lr_fit import fit_response
from lrtool.report.plots.tune import TunedCurve, TunePlot, draw_tune
from tests.report.plots.made_up.range_tests import ALL_METHODS

LRS = np.geomspace(0.004, 1, 9)
KINDS = (
    "cosine", "one_cycle", "wsd", "linear", "polynomial", "slanted_triangular", "inverse_sqrt", "rex", "tanh",
    "exponential", "cosine_restarts", "multistep",
)  # fmt: skip


def tuned(name="cosine", best=0.1, diverges=0.6, loss=0.1, seeds=3, lrs=LRS, below=0.0):
    """So many seeds at nine LRs; those above `diverges` diverge."""
    noise = np.exp(0.05 * np.random.default_rng(0).standard_normal((len(lrs), seeds)))
    losses = loss * (np.exp(np.minimum(0.25 * np.log(lrs / best) ** 2, 9))[:, None] * noise - below)
    losses[diverges < lrs] = np.nan
    found = fit_response(lrs, losses)
    flat = losses.reshape(-1)
    return TunedCurve(
        name, np.repeat(lrs, seeds), flat, found.grid, found.fit, found.lr, found.interval, found.within_noise
    )


def flat(name="cosine"):
    losses = 0.1 + 0.01 * np.random.default_rng(0).standard_normal((9, 3))
    found = fit_response(LRS, losses)
    return TunedCurve(name, np.repeat(LRS, 3), losses.reshape(-1), found.grid, found.fit, None, None, None)


def plot(*curves, peers=None, title="digits: final loss against peak LR"):
    best = curves[0].best
    answer = f"best peak LR {best:.3g} (95% interval 0.05 … 0.2) under {curves[0].name}" if best else (
        "no LR can be named: these trials show no difference between LRs beyond their noise; raise the budget,"
        " data.val_fraction or train.duration, or see whether any parameter is trained"
    )  # fmt: skip
    return TunePlot(title, answer, curves, peers or {})


def many(count):
    return [tuned(name, 0.05 * k**0.5, loss=0.1 * 1.05**k) for k, name in enumerate(KINDS[:count], 1)]


SITUATIONS = {
    "one schedule": lambda: plot(tuned()),
    "one seed": lambda: plot(tuned(seeds=1)),
    "methods": lambda: plot(tuned(), peers=ALL_METHODS),
    "schedules that agree": lambda: plot(tuned(), tuned("one_cycle", 0.11, loss=0.12), tuned("wsd", 0.09, loss=0.13)),
    "nine schedules and methods": lambda: plot(*many(9), peers=ALL_METHODS),
    "twelve schedules": lambda: plot(*many(12)),
    "methods far outside the grid": lambda: plot(tuned(), peers={**ALL_METHODS, "valley": 1e-9, "slide": 1e4}),
    "everything diverged": lambda: plot(tuned(diverges=0.0)),
    "some schedules without an answer": lambda: plot(tuned(), flat("wsd"), tuned("rex", diverges=0.0)),
    "no LR matters": lambda: plot(flat()),
    "the best at the upper edge": lambda: plot(tuned(best=30.0, diverges=9.0)),
    "the best at the lower edge": lambda: plot(tuned(best=1e-4)),
    "one LR": lambda: plot(replace(tuned(), lr=np.full(3, 0.1), loss=np.array([0.1, 0.2, np.nan]))),
    "eight decades": lambda: plot(tuned(lrs=np.geomspace(1e-8, 1, 25), best=1e-4)),
    "forty LRs": lambda: plot(tuned(lrs=np.geomspace(1e-3, 1, 40), diverges=0.1), tuned("wsd", 0.05, 0.09)),
    "losses of 1e-9": lambda: plot(tuned(loss=1e-9)),
    "losses of 1e9": lambda: plot(tuned(loss=1e9)),
    "negative losses": lambda: plot(tuned(below=30)),
    "long names": lambda: plot(
        *(tuned(f"a_schedule_with_a_very_long_name_of_{kind}_and_a_warmup" * 2, 0.1, loss=loss)
          for kind, loss in (("this_kind", 0.1), ("that_kind", 0.12))),
        title="a_very_long_name_of_a_run " * 6,
    ),
    "letters of all kinds": lambda: plot(tuned("余弦 η·2³ $x_1$"), tuned("_naïve_", 0.2, loss=0.2), title="学習率 $a$"),
}  # fmt: skip
FIGURES = {name: (lambda make=make: draw_tune(make())) for name, make in SITUATIONS.items()}
