"""What cannot be divided among processes is refused before the first update."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrtool.engine.loop.training import Training
from lrtool.engine.parallel.dividing import check_divides
from lrtool.engine.parallel.ranks import Ranks
from lrtool.engine.trials import Recipe
from lrtool.errors import UsageError
from lrtool.tasks.base import Task, seeded_model
from tests.engine.contract import PLAIN, small_task, trial


def check(task: Task, size: int = 2) -> None:
    import torch

    check_divides(task, seeded_model(task, 0), torch.arange(task.batch_size), Ranks(0, size))


def test_a_mean_over_the_samples_is_divided() -> None:
    check(small_task(), 8)


def test_more_processes_than_samples() -> None:
    with pytest.raises(UsageError, match=r"a batch of 8 cannot be divided among 9 processes.*--nproc-per-node"):
        check(small_task(), 9)


def test_a_loss_that_is_a_sum() -> None:
    from torch.nn import functional

    def summed(output: Any, target: Any) -> Any:
        return functional.cross_entropy(output, target, reduction="sum")

    with pytest.raises(UsageError, match=r"is not the mean of the losses of its halves.*weight"):
        check(replace(small_task(), loss=summed))


def test_a_model_that_takes_whole_batches_only() -> None:
    with pytest.raises(UsageError, match="takes batches of 8 samples and no others"):
        check(replace(small_task(), whole_batches=True))


def test_a_process_by_itself_takes_anything(tmp_path: Path) -> None:
    Training(replace(small_task(), batch_size=1), trial(0, 2, 0.1), Recipe(PLAIN))
