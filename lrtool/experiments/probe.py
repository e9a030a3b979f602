"""Short trainings around what a range test says, so that its suggestion is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.probing import LRS, RATIO, Probes, centre, with_probes
from lrtool.analysis.range_test import RangeTestResult
from lrtool.engine.trials import Trace, Trial
from lrtool.experiments.search import Rung, Search
from lrtool.experiments.setup import Setup
from lrtool.experiments.short import compressed, final_loss

Array = NDArray[np.float64]

#: Seeds of each probe; what they cost is better spent on longer probes than on more of them.
SEEDS = 3
#: Probes are made longer, where nothing was learned, up to this many times.
_LONGEST = 4
#: Training losses that show where a training starts, and the part that shows where it ends.
_FIRST, _LAST = 8, 0.2


def probed(
    setup: Setup, ramp: RangeTestResult, steps: int, run: Callable[[Sequence[Trial]], list[Trace]]
) -> RangeTestResult:
    """The range test, with the suggestion that trainings of `steps` updates support.

    7 LRs, 3 seeds (or as many as the range test has), the config's own schedule in `steps` updates; where the best
    LR is at an end, further ones beyond it; then 4 more around the best. Where some seed learns nothing at any LR,
    all again with twice the updates, up to four times. `run` trains trials: one call for each set of LRs.
    """
    longest = min(_LONGEST * steps, setup.steps)
    steps = min(steps, longest)
    probes = _probe(setup, ramp, steps, run)
    while not probes.begun and steps < longest:
        steps = min(2 * steps, longest)
        probes = _probe(setup, ramp, steps, run)
    found = with_probes(ramp, probes)
    if found is ramp:
        return ramp
    lrs, seeds = probes.losses.shape
    counted = "1 seed" if seeds == 1 else f"{seeds} seeds"
    return replace(found, source=f"{lrs * seeds} short trainings ({lrs} LRs, {counted}, {steps} updates each)")


def _probe(setup: Setup, ramp: RangeTestResult, steps: int, run: Callable[[Sequence[Trial]], list[Trace]]) -> Probes:
    seeds = min(SEEDS, setup.config.range_test.seeds)
    rung = Rung(steps / setup.steps, LRS, seeds, RATIO)
    search = Search(centre(ramp, setup.config.optimizer.lr))
    traces: dict[tuple[float, int], Trace] = {}

    def train(lrs: list[float]) -> None:
        trials = [_trial(setup, lr, setup.config.seed + seed, steps) for lr in lrs for seed in range(seeds)]
        asked = np.repeat(lrs, seeds).tolist()
        for lr, trial, trace in zip(asked, trials, run(trials), strict=True):
            traces[lr, trial.seed] = trace
            search.tell(lr, trial.seed, final_loss(trace))

    wanted = search.grid(rung)
    while wanted:
        train(wanted)
        wanted = search.beyond(rung)
    if wanted := search.between():
        train(wanted)
    return _probes(search, traces, rung.fraction)


def _trial(setup: Setup, lr: float, seed: int, steps: int) -> Trial:
    curves = {name: compressed(curve, steps) for name, curve in setup.curves(lr, setup.steps).items()}
    return Trial(seed, steps, curves, setup.config.optimizer.hyperparameters(), f"probe {lr:.3g}")


def _probes(search: Search, traces: dict[tuple[float, int], Trace], part: float) -> Probes:
    lrs, losses = search.table()
    seeds = sorted({seed for _, seed in traces})
    first = np.array([_padded(traces[lrs[0], seed].train_loss[:_FIRST]) for seed in seeds])
    last = np.array([[_level(traces[lr, seed]) for seed in seeds] for lr in lrs.tolist()])
    return Probes(lrs, losses, first, last, part)


def _padded(losses: Array) -> Array:
    """Exactly the first few losses, NaN for those that a very short training does not have."""
    return np.pad(losses, (0, _FIRST - len(losses)), constant_values=np.nan)


def _level(trace: Trace) -> float:
    """Where the training loss ends; NaN if it diverged."""
    steps = trace.trial.steps
    return float(trace.train_loss[-max(1, int(steps * _LAST)) :].mean()) if np.isfinite(final_loss(trace)) else np.nan
