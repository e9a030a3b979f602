"""Range tests as people's might be: plots of made-up losses."""

import functools
from dataclasses import replace

import numpy as np

from lrtool.analysis.range_test import analyse
from lrtool.analysis.range_test_result import LrEstimate, Probe
from lrtool.report.plots.range_test import RangeTestPlot, draw_range_test

ALL_METHODS = {
    "valley": 0.0127, "slide": 0.19, "steep": 0.063, "steepest": 0.0445, "minimum": 0.5, "lightning": 0.044,
    "stability": 0.061, "fastai": 0.05,
}  # fmt: skip


def ramp(seeds=3, steps=80, fall=1.8, start=1e-5, end=10.0, scale=1.0, below=0.0):
    """Losses (seeds, steps) that fall around LR 0.03, explode above 1 and end above 4."""
    lr = np.geomspace(start, end, steps)
    noise = 0.05 * np.random.default_rng(1).standard_normal((seeds, steps))
    losses = 2.3 - fall / (1 + 0.03 / lr) + np.where(lr > 1, lr**3 - 1, 0) * (fall > 0) + noise
    losses[:, lr > 4] = np.nan if fall else losses[:, lr > 4]
    return lr, scale * (losses - below)


def probes(lrs, seeds=3, steps=200, best=0.1, lost=1.5, scale=1.0, below=0.0, noise=0.05):
    """A parabola in the logarithm of the LR; above `lost` one seed blows up, above twice that all do."""
    rng = np.random.default_rng(2)
    made = []
    for lr in lrs:
        for seed in range(seeds):
            loss = scale * (0.3 * np.exp(0.2 * np.log(lr / best) ** 2 + noise * rng.standard_normal()) - below)
            blown = lr > 2 * lost or (lr > lost and seed == 0)
            made.append(Probe(lr, seed, steps, np.nan if blown else float(loss)))
    return tuple(made)


AROUND = np.geomspace(0.005, 4, 11).tolist()


@functools.cache
def analysed(seeds, steps, **ramp_of):
    return analyse(*ramp(seeds, steps, **ramp_of))


def made(name="digits-mlp", trained=(), methods=None, seeds=3, steps=80, ramp_of=None, **found):
    estimates = {key: LrEstimate(*values) if values else None for key, values in found.items()}
    result = replace(
        analysed(seeds, steps, **(ramp_of or {})),
        source="33 short trainings (11 LRs, 3 seeds, 200 updates each)",
        **estimates,
    )
    plot = RangeTestPlot.of(replace(result.cautioned(), probes=tuple(trained), methods={}), name)
    return replace(plot, methods=methods or {})


def flat():
    lr, losses = ramp(fall=0)
    return RangeTestPlot.of(replace(analyse(lr, losses), methods={}), "flat")


def lost():
    lr, losses = ramp()
    return RangeTestPlot.of(replace(analyse(lr, np.full_like(losses, np.nan)), methods={}), "nothing finite")


SUGGESTED, LIMIT = (0.11, 0.07, 0.19), (1.4, 1.2, 1.7)
USUAL = {"suggestion": SUGGESTED, "stability": LIMIT}
PLOTS = {
    "usual": lambda: made(trained=probes(AROUND), **USUAL),
    "methods": lambda: made(trained=probes(AROUND), methods=ALL_METHODS, **USUAL),
    "the ramp alone": lambda: made(methods={}),
    "one seed": lambda: made(trained=probes(AROUND, seeds=1), seeds=1, **USUAL),
    "eight decades": lambda: made(trained=probes(np.geomspace(1e-7, 3, 20)), ramp_of={"start": 1e-8}, **USUAL),
    "probes of two lengths": lambda: made(
        trained=(*probes(AROUND), *probes(AROUND[2:7], steps=800, best=0.05, scale=0.6)), **USUAL
    ),
    "probes beyond the ramp": lambda: made(
        trained=probes(np.geomspace(0.01, 30, 9), best=3, lost=15), ramp_of={"end": 0.1},
        suggestion=(2.0, 1.5, 3.0), stability=(60.0, 20.0, np.inf),
    ),
    "probes below the ramp": lambda: made(
        trained=probes(np.geomspace(1e-9, 1e-6, 7), best=1e-8, lost=1e-2), suggestion=(1e-8, 0.0, 1e-7),
        stability=(1e-7, 1e-7, 2e-7),
    ),
    "a suggestion where nothing was tried": lambda: made(
        ramp_of={"end": 0.1}, suggestion=(2.0, 1.5, 3.0), stability=(60.0, 20.0, np.inf)
    ),
    "a suggestion between ramp and probes": lambda: made(
        trained=probes([1, 2, 4], best=3, lost=15), ramp_of={"end": 0.01}, suggestion=(0.1, 0.05, 0.3), stability=None
    ),
    "every probe blew up": lambda: made(trained=probes(AROUND, lost=1e-4), **USUAL),
    "one probe": lambda: made(trained=probes([0.1], seeds=1), **USUAL),
    "many probes": lambda: made(trained=probes(np.geomspace(1e-4, 8, 60), seeds=5), **USUAL),
    "noisy probes": lambda: made(trained=probes(AROUND, noise=1.5), **USUAL),
    "losses of 1e-9": lambda: made(trained=probes(AROUND, scale=1e-9), ramp_of={"scale": 1e-9}, **USUAL),
    "losses of 1e9": lambda: made(trained=probes(AROUND, scale=1e9), ramp_of={"scale": 1e9}, **USUAL),
    "negative losses": lambda: made(trained=probes(AROUND, below=900), ramp_of={"below": 900}, **USUAL),
    "losses around 0": lambda: made(trained=probes(AROUND, below=0.4), ramp_of={"below": 1}, **USUAL),
    "all in one place": lambda: made(
        trained=probes(AROUND), methods=dict.fromkeys(ALL_METHODS, 1.0), lower=(1.0, 0.99, 1.01),
        suggestion=(1.05, 1.03, 1.08), stability=(1.02, 1.0, 1.03), upper=(1.1, 1.05, 1.2),
    ),
    "open at both ends": lambda: made(suggestion=(0.1, 0.0, np.inf), stability=(1e3, 0.0, np.inf)),
    "intervals wider than the ramp": lambda: made(
        ramp_of={"start": 0.01, "end": 1.0}, suggestion=(0.1, 1e-4, 20.0), stability=(0.1, 1e-3, 100.0)
    ),
    "methods far outside": lambda: made(methods={"valley": 1e-9, "slide": 1e4, "of_their_own": 0.1}, **USUAL),
    "a long name": lambda: made("a_very_long_name_of_a_run " * 6, trained=probes(AROUND), **USUAL),
    "letters of all kinds": lambda: made("学習率 η·2³ $x_1$ naïve_модель", trained=probes(AROUND), **USUAL),
    "flat": flat,
    "nothing finite": lost,
    "one update": lambda: made(steps=1),
    "twelve seeds": lambda: made(seeds=12, trained=probes(AROUND, seeds=12), **USUAL),
}  # fmt: skip
FIGURES = {name: (lambda make=make: draw_range_test(make())) for name, make in PLOTS.items()}
