"""Losses over LRs of real tasks, from the trainings that `regret_truth` keeps: some seeds measure, the others judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from support.regret_tasks import HELD_OUT, TASKS, UNSEEN
from support.regret_truth import Truth, stored

Array = NDArray[np.float64]

ALL = {**TASKS, **HELD_OUT, **UNSEEN}
SCHEDULES = ("constant", "cosine")
#: Each task under each schedule is measured so often, every time with other LRs and seeds.
REPEATS = 8
#: Grids as a search's last rungs have them: how many LRs, and how many steps of a factor √2 they are apart.
GRIDS = ((7, 1), (6, 2), (5, 2), (5, 1))
MOST_SEEDS = 4


@dataclass(frozen=True)
class Replay:
    """Losses (n, seeds) at LRs (n,), NaN where diverged; `others` (n_all, seeds): other seeds at `every` LR.

    `best`: the LR with the least mean loss of all seeds.
    """

    task: str
    schedule: str
    lr: Array
    losses: Array
    every: Array
    others: Array
    best: float


def replays() -> Iterator[Replay]:
    """Every task and schedule whose trainings are there."""
    for task, config in ALL.items():
        for schedule in SCHEDULES:
            known = stored(config, schedule)
            if known is not None:
                rng = np.random.default_rng([len(task), SCHEDULES.index(schedule)])
                for repeat in range(REPEATS):
                    yield _replay(task, schedule, known, repeat, rng)


def _replay(task: str, schedule: str, known: Truth, repeat: int, rng: np.random.Generator) -> Replay:
    seeds = rng.permutation(known.losses.shape[1])
    mine, others = np.split(seeds, [1 + repeat % MOST_SEEDS])
    count, step = GRIDS[(repeat + repeat // MOST_SEEDS) % len(GRIDS)]
    # As a search centres its last rung: where the same seeds say, give or take.
    centre = int(np.argmin(known.losses[:, mine].mean(axis=1))) + int(rng.integers(-1, 2))
    first = int(np.clip(centre - step * (count // 2), 0, len(known.lr) - 1 - step * (count - 1)))
    taken = first + step * np.arange(count)
    losses = known.losses[taken][:, mine]
    best = float(known.lr[int(np.argmin(known.mean))])
    return Replay(
        task,
        schedule,
        known.lr[taken],
        np.where(np.isfinite(losses), losses, np.nan),
        known.lr,
        known.losses[:, others],
        best,
    )
