"""`lrtool.compare`: trained runs side by side, paired by seed, with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrtool.api.results.compare import CompareAnswer
from lrtool.errors import UsageError


def compare(
    runs: Sequence[Any],
    metric: str | None = None,
    *,
    direction: str | None = None,
    by: Sequence[str] = (),
    target: float | None = None,
    statistic: str = "mean",
) -> CompareAnswer:
    """Compare trained runs: means, intervals, paired differences on the same seeds, and a verdict.

    runs: run folders of trainings and sweeps (also globs, 'outputs/digits/*-train'), or results of `lrtool.train`.
    metric: what is compared; unsaid, the validation loss. `direction`: whether "higher" or "lower" is better.
    by: keys that tell variants apart; unsaid, whatever differs but the seed. `target`: the loss to count updates to.
    statistic: "mean" or "median" over seeds.

    >>> import torch, lrtool
    >>> x = torch.randn(200, 8)
    >>> def run(seed, lr):
    ...     return lrtool.train(lambda: torch.nn.Linear(8, 1), (x, x[:, :1]), optimizer="sgd", lr=lr, seed=seed,
    ...                         duration=40, progress=False)
    >>> result = lrtool.compare([run(seed, lr) for seed in (0, 1, 2) for lr in (0.05, 1e-4)])
    >>> [row["chosen"] for row in result.rows()], len(result.rows())
    ([{}, {}], 2)
    """
    from lrtool.comparison.standings import compare_runs

    if isinstance(runs, str | Path):
        runs = [runs]
    found, first = compare_runs([folder_of(each) for each in runs], metric, direction, by, target, statistic)
    return CompareAnswer(found, first)


def folder_of(run: Any) -> str:
    """The folder of a run or result, also of one that is not saved."""
    if isinstance(run, str | Path):
        return str(run)
    folder = getattr(run, "_folder", None)
    if folder is None:
        raise UsageError(
            f"expected a run folder or a result, but got {type(run).__name__}", where="runs", remedy="pass paths"
        )
    return str(folder)
