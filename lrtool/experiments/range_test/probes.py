"""Probes: short trainings at LRs around a range test's suggestion, which measure it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.range_test_result import RangeTestResult
from lrtool.analysis.search.best_lr import Rung, Search
from lrtool.analysis.search.short_runs import LRS, RATIO, Probes, centre, with_probes
from lrtool.engine.trials import Trace, Trial
from lrtool.experiments.final import final_loss
from lrtool.experiments.setup import Setup

Array = NDArray[np.float64]
_Run = Callable[[Sequence[Trial]], list[Trace]]

#: Seeds of each probe; what they cost is better spent on longer probes than on more of them.
SEEDS = 3
#: Probes are made longer, where nothing was learned, up to this many times.
_LONGEST = 4
#: LRs of longer probes, this factor apart.
_LONGER_LRS, _LONGER_RATIO = 5, 2.0
#: Training losses that show where a training starts, and the part that shows where it ends.
_FIRST, _LAST = 8, 0.2


def probed(setup: Setup, ramp: RangeTestResult, steps: int, run: _Run) -> RangeTestResult:
    """The range test, with the suggestion that trainings of `steps` updates support.

    7 LRs, 3 seeds (or as many as the range test has), the config's own schedule in `steps` updates; where the best
    LR is at an end, further ones beyond it; then 4 more around the best. Where some seed learns nothing at any LR,
    all again with twice the updates, up to four times. Where LRs above the best over-fit, which takes a longer training
    less of an LR to do, 5 LRs again with four times the updates, or as many as the run has. `run` trains trials: one
    call for each set of LRs.
    """
    longest = min(_LONGEST * steps, setup.steps)
    steps, middle = min(steps, longest), centre(ramp, setup.config.optimizer.lr)
    probes = _probe(setup, middle, steps, run)
    while not probes.begun and steps < longest:
        steps = min(2 * steps, longest)
        probes = _probe(setup, middle, steps, run)
    found = with_probes(ramp, probes)
    if found is not ramp and probes.overfitted and steps < longest:
        longer = _longer(setup, probes, steps, longest, run)
        better = with_probes(ramp, longer)
        if better is not ramp:
            found, probes, steps = better, longer, longest
    if found is ramp:
        return ramp
    lrs, seeds = probes.losses.shape
    counted, share = "1 seed" if seeds == 1 else f"{seeds} seeds", _share(steps, setup.steps)
    return replace(found, source=f"{lrs * seeds} short trainings ({lrs} LRs, {counted}, {steps} updates each{share})")


def _share(steps: int, whole: int) -> str:
    return f", 1/{whole / steps:.2g} of the run" if steps < whole else ""


def _probe(setup: Setup, middle: float, steps: int, run: _Run) -> Probes:
    search = _Probing(setup, Rung(steps / setup.steps, LRS, _seeds(setup), RATIO), middle, run)
    if wanted := search.search.between():
        search.train(wanted)
    return search.probes()


def _longer(setup: Setup, probes: Probes, steps: int, longest: int, run: _Run) -> Probes:
    """Longer trainings on fewer LRs, around the one that learns as much in them as the best has learned so far."""
    rung = Rung(longest / setup.steps, _LONGER_LRS, _seeds(setup), _LONGER_RATIO)
    return _Probing(setup, rung, float(probes.lr[probes.best]) * steps / longest, run).probes()


def _seeds(setup: Setup) -> int:
    return min(SEEDS, setup.config.range_test.seeds)


class _Probing:
    """Trains the LRs of one length around `middle`, and beyond where the best is at an end."""

    def __init__(self, setup: Setup, rung: Rung, middle: float, run: _Run) -> None:
        self.setup, self.rung, self.run = setup, rung, run
        self.steps = round(rung.fraction * setup.steps)
        self.search, self.traces = Search(middle), dict[tuple[float, int], Trace]()
        wanted = self.search.grid(rung)
        while wanted:
            self.train(wanted)
            wanted = self.search.beyond(rung)

    def train(self, lrs: list[float]) -> None:
        """Every seed at each of these LRs."""
        setup, seeds = self.setup, range(self.rung.seeds)
        trials = [
            setup.trial(setup.config.seed + seed, lr, f"probe {lr:.3g}", steps=self.steps)
            for lr in lrs
            for seed in seeds
        ]
        asked = np.repeat(lrs, len(seeds)).tolist()
        for lr, trial, trace in zip(asked, trials, self.run(trials), strict=True):
            self.traces[lr, trial.seed] = trace
            self.search.tell(lr, trial.seed, final_loss(trace))

    def probes(self) -> Probes:
        """What has been trained."""
        (lrs, losses), traces = self.search.table(), self.traces
        seeds = sorted({seed for _, seed in traces})
        first = np.array([_padded(traces[lrs[0], seed].train_loss[:_FIRST]) for seed in seeds])
        last = np.array([[_level(traces[lr, seed]) for seed in seeds] for lr in lrs.tolist()])
        return Probes(lrs, losses, first, last, self.rung.fraction, self.setup.task.val is not None)


def _padded(losses: Array) -> Array:
    """Exactly the first few losses, NaN for those that a very short training does not have."""
    return np.pad(losses, (0, _FIRST - len(losses)), constant_values=np.nan)


def _level(trace: Trace) -> float:
    """Where the training loss ends; NaN if it diverged."""
    steps = trace.trial.steps
    return float(trace.train_loss[-max(1, int(steps * _LAST)) :].mean()) if np.isfinite(final_loss(trace)) else np.nan
