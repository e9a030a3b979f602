"""What the first process announces is heard by the others in order, and once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.parallel import joining
from lrtool.engine.parallel.ranks import Ranks
from lrtool.experiments.parallel.announcing import announce, heard, received_checkpoint, send_checkpoint
from lrtool.experiments.parallel.conducting import Farewell, dismiss, follow
from tests.engine.parallel.processes import together


def test_texts_and_checkpoints(tmp_path: Path) -> None:
    kept = Checkpoint(7, {"model/w": torch.arange(6.0).view(2, 3).T, "rng/x": torch.tensor(3)}, {"a": 1})

    def work(ranks: Ranks) -> Any:
        if ranks.rank:
            first, checkpoint = heard(ranks), received_checkpoint(ranks)
            return first, checkpoint.step, checkpoint.details, checkpoint.tensors, follow(ranks).code
        announce(ranks, "first")
        send_checkpoint(ranks, kept)
        dismiss(ranks, Farewell(3))
        return None

    _, (first, step, details, tensors, code) = together(tmp_path, 2, work)
    assert (first, step, details, code) == ("first", 7, {"a": 1}, 3)
    torch.testing.assert_close(tensors, dict(kept.tensors))


def test_who_joins_again_hears_nothing_of_before(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> list[Any]:
        found = []
        for number in range(3):
            if ranks.rank:
                found.append(follow(ranks).result)
            else:
                dismiss(ranks, Farewell(result=number))
            joining.part(ranks)
            ranks = joining.join_script()
        return found

    assert together(tmp_path, 2, work) == [[], [0, 1, 2]]
