"""Comparisons as people's might be: plots of made-up variants."""

import numpy as np

from lrtool.analysis.statistics.comparison import compare
from lrtool.comparison.lr_response import LrResponse
from lrtool.comparison.outcomes import Outcome
from lrtool.comparison.variants import Variant
from lrtool.comparison.verdict import verdict
from lrtool.report.plots.compare import OverlayPlot, draw_overlay
from lrtool.report.plots.compare_rows import ForestPlot, TargetPlot, draw_forest, draw_target
from lrtool.report.plots.lr_response import HeatPlot, LrPlot, draw_heat, draw_lr

LONG = "cosine decay with a linear warm-up of {} percent of all updates, weight decay and label smoothing"
STEPS = 60


def variant(name, finals, diverged=(), lr=0.1, begin=2.3, metric="val_loss", steps=STEPS, every=5):
    outcomes = {}
    step = np.arange(1.0, steps + 1)
    for seed, final in enumerate(finals):
        rng = np.random.default_rng(seed)
        loss = final + (begin - final) * np.exp(-5 * step / steps) * np.exp(0.1 * rng.standard_normal(steps))
        loss[-1] = final
        values = np.where(step % every == 0, loss, np.nan) if steps > 1 else loss
        curve = {"step": step, "lr": lr * (1 - step / (steps + 1)), "seconds": step / 10, "val_loss": values}
        outcomes[seed] = Outcome(name, seed, seed in diverged, {metric: final}, curve, 3.0, {})
    return Variant(name, outcomes)


def spread(count, seeds=4, name="variant {}", scale=1.0, below=0.0, noise=0.01, lr=0.1, **more):
    rng = np.random.default_rng(3)
    return [
        variant(
            name.format(place),
            scale * (0.3 * 1.06**place * (1 + noise * rng.standard_normal(seeds)) - below),
            begin=scale * (2.3 - below), lr=lr * 1.2**place, **more
        )
        for place in range(count)
    ]  # fmt: skip


GROUPS = {
    "two": lambda: spread(2),
    "one": lambda: spread(1),
    "one seed": lambda: spread(3, seeds=1),
    "two seeds that differ": lambda: spread(3, seeds=2, noise=0.6),
    "twelve schedules": lambda: spread(12, name="schedule_kind_{}"),
    "forty": lambda: spread(40, name="optimizer.lr={}, weight_decay=0.1"),
    "long names": lambda: spread(6, name=LONG),
    "letters of all kinds": lambda: [
        variant(name, [0.3 * k, 0.31 * k])
        for k, name in enumerate(("余弦", "_lr_η=2³", "$x_1$, $y", "naïve_модель"), 1)
    ],
    "diverged": lambda: [
        *spread(2), variant("wild", [0.4, 9.0, 0.5, 8.0], {1, 3}), variant("lost", [1.0] * 4, range(4)),
    ],
    "all diverged": lambda: [variant(name, [1.0, 2.0], {0, 1}) for name in "ab"],
    "losses of 1e-9": lambda: spread(4, scale=1e-9),
    "losses of 1e9": lambda: spread(4, scale=1e9),
    "negative losses": lambda: spread(4, below=500),
    "far apart": lambda: [variant("a", [1.0, 1.1]), variant("b", [1.1, 1.2]), variant("wild", [900.0, 950.0])],
    "losses over decades": lambda: [
        variant(f"lr={10.0**-k:g}", [10.0**-k, 2 * 10.0**-k], lr=10.0**-k) for k in range(7)
    ],
    "LRs far apart": lambda: [variant(f"{k}", [0.3 + k / 9], lr=10.0**-k) for k in range(8)],
    "one update": lambda: spread(3, steps=1),
    "all the same": lambda: [variant(name, [0.3, 0.3, 0.3]) for name in "abc"],
}  # fmt: skip


def ranked(variants, metric="val_loss"):
    result = compare({each.name: each.values(metric) for each in variants})
    named = {each.name: each for each in variants}
    return result, [named[standing.name] for standing in result.standings]


def overlay(variants):
    result, order = ranked(variants)
    return draw_overlay(OverlayPlot.of(f"{len(order)} variants: curves", verdict(result), order))


def forest(variants):
    result, order = ranked(variants)
    return draw_forest(
        ForestPlot.of(f"{len(order)} variants: validation loss", verdict(result), "val_loss", order, result)
    )


def target(variants):
    _, order = ranked(variants)
    finals = [value for each in order for value in each.values("val_loss").values() if np.isfinite(value)]
    return draw_target(TargetPlot.of("steps to a target", float(np.median(finals or [0.5])), order))


def response(name, best=0.1, lrs=None, seeds=3, lost=1.0, scale=1.0, below=0.0):
    lrs = np.geomspace(0.001, 3, 8) if lrs is None else lrs
    noise = np.exp(0.05 * np.random.default_rng(0).standard_normal((len(lrs), seeds)))
    values = scale * (0.3 * np.exp(np.minimum(0.3 * np.log(lrs / best) ** 2, 9))[:, None] * noise - below)
    values[lrs > lost] = np.nan
    return LrResponse(name, lrs, values, np.where(lrs > lost, seeds, 0))


RESPONSES = {
    "one": lambda: [response("")],
    "three": lambda: [response(name, best) for name, best in (("cosine", 0.1), ("wsd", 0.3), ("linear", 0.03))],
    "twenty": lambda: [response(f"variant_{k}", 0.02 * 1.2**k, scale=1 + k / 9) for k in range(20)],
    "forty": lambda: [response(f"variant_{k}", 0.02 * 1.1**k, scale=1 + k / 9) for k in range(40)],
    "long names": lambda: [response(LONG.format(k), 0.02 * k, scale=k) for k in range(1, 9)],
    "letters of all kinds": lambda: [response("余弦"), response("_η", 0.3), response("$x_1$, $y", 0.03)],
    "one seed": lambda: [response("a", seeds=1), response("b", 0.3, seeds=1)],
    "LRs of their own": lambda: [
        response(f"random_{k}", lrs=np.sort(np.random.default_rng(k).uniform(0.01, 1, 9)), scale=k) for k in (1, 2, 3)
    ],
    "eight decades": lambda: [response(name, lrs=np.geomspace(1e-8, 3, 24)) for name in "ab"],
    "sixty LRs": lambda: [response(name, lrs=np.geomspace(1e-5, 3, 60)) for name in "ab"],
    "everything diverged": lambda: [response(name, lost=0.0) for name in "ab"],
    "losses of 1e-9": lambda: [response(name, scale=1e-9) for name in "ab"],
    "losses of 1e9": lambda: [response(name, scale=1e9) for name in "ab"],
    "negative losses": lambda: [response("a", below=500), response("b", below=501)],
    "the best at the end": lambda: [response("a", best=9, lost=9), response("b", best=1e-5)],
}


def accuracy():
    rows = [LrResponse(each.name, each.lr, 1 - each.values / 40, each.diverged) for each in RESPONSES["three"]()]
    return draw_lr(LrPlot.of("over LR", "val_accuracy", True, rows))


def heat(rows):
    plot = HeatPlot.of("3 variants: validation loss over LR", "val_loss", False, rows)
    return None if plot is None else draw_heat(plot)


def lines(rows):
    return draw_lr(LrPlot.of("3 variants: validation loss over LR", "val_loss", False, rows))


FIGURES = {
    **{f"{kind.__name__} of {name}": (lambda k=kind, m=make: k(m())) for kind in (overlay, forest, target)
       for name, make in GROUPS.items()},
    **{f"{kind.__name__} of {name}": (lambda k=kind, m=make: k(m())) for kind in (lines, heat)
       for name, make in RESPONSES.items()},
    "lines of an accuracy": accuracy,
}  # fmt: skip
