"""The stability limit, measured by short trainings at constant LRs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lrtool.analysis.range_test_result import RangeTestResult, Reason
from lrtool.analysis.search.stability_limit import LimitSearch, rise, starting_losses
from lrtool.config.settings import SHORTEST_PROBE
from lrtool.engine.trials import Trace, Trial
from lrtool.experiments.setup import Setup
from lrtool.schedules import Curve

#: Seeds at each LR.
SEEDS = 3
#: The interval is so many times as wide either way where the training is longer: many a short one that ends above its
#: start would recover, some would break down later. Of equally long ones, 3 seeds' brackets hold the median limit of
#: 8 seeds in 97% of cases (8 tasks).
_SHORTER = 1.7


def with_limit(
    setup: Setup, ramp: RangeTestResult, steps: int, run: Callable[[Sequence[Trial]], list[Trace]]
) -> RangeTestResult:
    """The range test, with the stability limit that trainings of `steps` updates at constant LRs show.

    7 LRs a factor of 2 apart around what the ramp says, 3 seeds (or as many as the range test has), further ones
    where all or none break down, then one in the middle of each bracket. `run` trains trials; they need no
    validation. A ramp that shows no effect of the LR at all is left as it is.
    """
    if ramp.reason is Reason.FLAT or ramp.reason is Reason.TOO_SHORT:
        return ramp
    # The LR is constant, so what a short run would do is seen in a longer one too, and with less noise.
    steps, seeds = max(min(steps, setup.steps), SHORTEST_PROBE), min(SEEDS, setup.config.range_test.seeds)
    search = LimitSearch(ramp.stability.value if ramp.stability is not None else setup.config.optimizer.lr)
    # The ramp's smallest LRs have not moved anything yet; its trials have the same seeds.
    starts = {setup.config.seed + number: starting_losses(row) for number, row in enumerate(ramp.losses)}
    while wanted := search.wanted():
        trials = [_trial(setup, lr, setup.config.seed + seed, steps) for lr in wanted for seed in range(seeds)]
        lrs = np.repeat(wanted, seeds).tolist()
        for lr, trial, trace in zip(lrs, trials, run(trials), strict=True):
            search.tell(lr, trial.seed, rise(trace.train_loss, steps, starts[trial.seed]))
    found = search.estimate()
    return ramp.limited(found.widened(_SHORTER) if found is not None and steps < setup.steps else found)


def _trial(setup: Setup, lr: float, seed: int, steps: int) -> Trial:
    constant = Curve(lambda t: np.full(t.shape, lr), steps, lr)
    return setup.following({"lr": constant}, seed, f"constant {lr:.3g}")
