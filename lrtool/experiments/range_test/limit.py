"""The stability limit, measured by short trainings at constant LRs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lrtool.analysis.range_test_result import RangeTestResult, Reason
from lrtool.analysis.search.stability_limit import LimitSearch, rise, starting_losses
from lrtool.config.settings import SHORTEST_PROBE
from lrtool.engine.trials import Trace, Trial
from lrtool.experiments.range_test.spending import Holds, unlimited
from lrtool.experiments.setup import Setup
from lrtool.schedules import Curve

#: Seeds at each LR.
SEEDS = 3
#: The interval is so many times as wide either way where the training is longer: many a short one that ends above its
#: start would recover, some would break down later. Of equally long ones, 3 seeds' brackets hold the median limit of
#: 8 seeds in 97% of cases (8 tasks).
_SHORTER = 1.7


def with_limit(
    setup: Setup,
    ramp: RangeTestResult,
    steps: int,
    run: Callable[[Sequence[Trial]], list[Trace]],
    holds: Holds = unlimited,
) -> RangeTestResult:
    """The range test, with the stability limit that trainings of `steps` updates at constant LRs show.

    7 LRs a factor of 2 apart around what the ramp says, 3 seeds (or as many as the range test has), further ones
    where all or none break down, then one in the middle of each bracket. `run` trains trials; they need no
    validation. `holds`: whether the budget has room for so many of so many updates: where it has none for 7 LRs with
    3 seeds, of fewer, and where it has none for those of half and of a quarter of the updates, the range test is left
    as it is. So is that of a ramp that shows no effect of the LR at all.
    """
    if ramp.reason is Reason.FLAT or ramp.reason is Reason.TOO_SHORT:
        return ramp
    # The LR is constant, so what a short run would do is seen in a longer one too, and with less noise.
    steps, seeds = max(min(steps, setup.steps), SHORTEST_PROBE), min(SEEDS, setup.config.range_test.seeds)
    search = LimitSearch(ramp.stability.value if ramp.stability is not None else setup.config.optimizer.lr)
    grid = search.wanted()
    room = _room(len(grid), steps, seeds, holds)
    if room is None:
        return ramp
    steps, seeds = room
    # The ramp's smallest LRs have not moved anything yet; its trials have the same seeds, if there are as many.
    starts = {setup.config.seed + number: starting_losses(row) for number, row in enumerate(ramp.losses)}
    seeds = min(seeds, len(starts))
    while (wanted := search.wanted()) and holds(len(wanted) * seeds, steps):
        trials = [_trial(setup, lr, setup.config.seed + seed, steps) for lr in wanted for seed in range(seeds)]
        lrs = np.repeat(wanted, seeds).tolist()
        for lr, trial, trace in zip(lrs, trials, run(trials), strict=True):
            search.tell(lr, trial.seed, rise(trace.train_loss, steps, starts[trial.seed]))
    found = search.estimate()
    limited = ramp.limited(found.widened(_SHORTER) if found is not None and steps < setup.steps else found)
    if seeds < min(SEEDS, setup.config.range_test.seeds) and found is not None:
        return replace(limited, left_out=(*limited.left_out, f"all but {_counted(seeds)} of the stability limit"))
    return limited


def _room(lrs: int, steps: int, seeds: int, holds: Holds) -> tuple[int, int] | None:
    """Updates and seeds of a first grid that the budget has room for; with two seeds at most it is not made shorter."""
    for shorter in (steps, steps // 2, steps // 4):
        for fewer in range(seeds, 0, -1):
            if shorter >= SHORTEST_PROBE and holds(lrs * fewer, shorter):
                return shorter, fewer
    return None


def _counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _trial(setup: Setup, lr: float, seed: int, steps: int) -> Trial:
    constant = Curve(lambda t: np.full(t.shape, lr), steps, lr)
    return setup.following({"lr": constant}, seed, f"constant {lr:.3g}")
