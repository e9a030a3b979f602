"""Short trainings around what a range test says, so that its suggestion is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
#: Training losses that show where a training starts, and the part that shows where it ends.
_FIRST, _LAST = 8, 0.2


def probed(
    setup: Setup, ramp: RangeTestResult, steps: int, run: Callable[[Sequence[Trial]], list[Trace]]
) -> RangeTestResult:
    """The range test, with the suggestion that trainings of `steps` updates support.

    8 LRs, 3 seeds (or as many as the range test has), the config's own schedule in `steps` updates; where the best
    LR is at an end, further ones beyond it. `run` trains trials: one call for the grid, one for each move.
    """
    steps = min(steps, setup.steps)
    seeds = min(SEEDS, setup.config.range_test.seeds)
    rung = Rung(steps / setup.steps, LRS, seeds, RATIO)
    search = Search(centre(ramp, setup.config.optimizer.lr))
    traces: dict[tuple[float, int], Trace] = {}
    wanted = search.grid(rung)
    while wanted:
        trials = [_trial(setup, lr, setup.config.seed + seed, steps) for lr in wanted for seed in range(seeds)]
        planned = [(lr, trial.seed) for lr, trial in zip(np.repeat(wanted, seeds).tolist(), trials, strict=True)]
        for (lr, seed), trace in zip(planned, run(trials), strict=True):
            traces[lr, seed] = trace
            search.tell(lr, seed, final_loss(trace))
        wanted = search.beyond(rung)
    return with_probes(ramp, _probes(search, traces, rung.fraction))


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
