"""Successive halving: variants that lag behind after a part of the run are given up (Jamieson & Talwalkar 2016).

Source: arXiv:1502.07943.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from lrtool.config.sweep import Prune
from lrtool.experiments.jobs import Part
from lrtool.runs.leaders import Leaders
from lrtool.runs.store import StoredTrial, SweepStore

#: What the status of a trial begins with that waits for its rivals.
RUNG = "rung-"


def halve(
    store: SweepStore,
    prune: Prune,
    missing: set[int],
    train: Callable[[set[int], Part], None],
    ended: Callable[[StoredTrial], None],
) -> None:
    """Train the trials in `missing` rung by rung; takes away those that are over, so that the best are left.

    What a rung decided is remembered together with what it prunes: a resumed sweep decides the same, once.
    """
    for number, fraction in enumerate(prune.fractions, 1):
        part = Part(fraction, f"{RUNG}{number}")
        if store.fact(part.status) is not None:
            continue
        known = store.statuses()
        train({each for each in missing if known.get(each) != part.status}, part)
        # Not only those that were missing: what diverged before an interruption counts as it would have without one.
        trials = [trial for trial in store.trials() if trial.status != "pruned"]
        pruned = [_pruned(trial, fraction) for trial in laggards(trials, part.status, prune.factor)]
        store.record_together(pruned, part.status, len(pruned))
        for trial in pruned:
            ended(trial)
        missing -= {trial.number for trial in pruned}
        missing &= {trial.number for trial in trials if trial.status == part.status}


def laggards(trials: list[StoredTrial], status: str, factor: int) -> list[StoredTrial]:
    """Of the trials that got through a rung (`status`), those of all but the best 1/factor of the variants.

    A variant counts with the mean over its seeds; one of which a trial diverged or failed comes last.
    """
    metric = Leaders(trials).metric
    losses: dict[str, list[float]] = {}
    for trial in trials:
        loss = trial.values.get(metric, math.inf) if trial.status == status else math.inf
        losses.setdefault(trial.variant, []).append(loss)
    left = {trial.variant for trial in trials if trial.status == status}
    ranked = sorted(left, key=lambda variant: (sum(losses[variant]) / len(losses[variant]), variant))
    best = set(ranked[: math.ceil(len(ranked) / factor)])
    return [trial for trial in trials if trial.status == status and trial.variant not in best]


def _pruned(trial: StoredTrial, fraction: float) -> StoredTrial:
    """A trial that is given up: it has no final values."""
    message = f"pruned after {fraction:.3g} of the run: other variants had a lower loss"
    return replace(trial, status="pruned", values={}, message=message)
