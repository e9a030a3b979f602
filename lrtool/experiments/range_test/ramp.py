"""The ramp of an LR range test: one trial per seed, all on a curve along which the LR rises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lrtool.config.settings import RangeTestSettings
from lrtool.engine.trials import Trace, Trial
from lrtool.experiments.setup import Setup, check_room
from lrtool.schedules import Curve

Array = NDArray[np.float64]


def ramp(settings: RangeTestSettings) -> Curve:
    """The LR of each update: from `start` to exactly `end`, equally spaced in log LR (or in LR: `linear`)."""
    spaced = np.geomspace if settings.ramp == "exponential" else np.linspace
    table = spaced(settings.start, settings.end, settings.steps)
    # Rounding must not move the ends.
    table[0], table[-1] = settings.start, settings.end
    return Curve(lambda t: table[np.minimum(t.astype(np.int64), len(table) - 1)], settings.steps, settings.end)


def range_test_trials(setup: Setup, steps: int | None = None) -> list[Trial]:
    """One trial per seed, all on the same ramp; of so many updates, or as many as the config says."""
    settings = setup.config.range_test
    check_room((steps or settings.steps) * settings.seeds, "range_test.steps")
    first, curves = setup.config.seed, {"lr": ramp(settings.model_copy(update={"steps": steps or settings.steps}))}
    seeds = range(first, first + setup.config.range_test.seeds)
    return [setup.following(curves, seed, f"seed {seed}") for seed in seeds]


def losses_of(traces: list[Trace], steps: int) -> Array:
    """Training losses (seeds, steps), NaN after a seed stopped; a non-finite loss is not a point of the curve."""
    losses = np.full((len(traces), steps), np.nan)
    for row, trace in zip(losses, traces, strict=True):
        row[: trace.steps] = np.where(np.isfinite(trace.train_loss), trace.train_loss, np.nan)
    return losses


def validation_of(traces: list[Trace]) -> list[tuple[Array, Array]]:
    """Validation losses along the ramp, a pair (LR, loss) of arrays per seed that has any."""
    curves = []
    for trace in traces:
        points = [(trace.lr[e.step - 1], e.values["val_loss"]) for e in trace.evaluations if "val_loss" in e.values]
        if points:
            lr, loss = np.asarray(points).T
            curves.append((lr, loss))
    return curves
