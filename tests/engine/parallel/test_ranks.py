"""What processes say to each other, and that a process by itself says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lrtool.engine.parallel.ranks import ALONE, Ranks
from tests.engine.parallel.processes import together


def said(ranks: Ranks) -> dict[str, Any]:
    cpu = torch.device("cpu")
    ranks.reseed(5, 3, cpu)
    drawn = float(torch.rand(()))
    ranks.reseed(5, 3, cpu)
    model = torch.nn.BatchNorm1d(2)
    model.running_mean.fill_(ranks.rank + 7)  # type: ignore[union-attr, operator]
    ranks.same_buffers(model)
    return {
        "total": ranks.total(torch.tensor([1.0, ranks.rank])).tolist(),
        "mean": float(ranks.mean(torch.tensor(float(ranks.rank)))),
        "first": ranks.first(10 + ranks.rank),
        "most": ranks.most(10 + ranks.rank),
        "gathered": ranks.gathered(f"from {ranks.rank}"),
        "buffers": model.running_mean.tolist(),  # type: ignore[union-attr, operator]
        "drawn": (drawn, float(torch.rand(()))),
    }


def test_two_processes(tmp_path: Path) -> None:
    found = together(tmp_path, 2, said)
    drawn = [each.pop("drawn") for each in found]
    wanted = {"total": [2.0, 1.0], "mean": 0.5, "first": 10, "most": 11, "gathered": ["from 0", "from 1"]}
    assert found == [{**wanted, "buffers": [7.0, 7.0]}] * 2
    # The first goes on with its own stream; the other's is a function of the update.
    assert drawn[0][0] != drawn[0][1] and drawn[1][0] == drawn[1][1]


def test_one_process() -> None:
    values = torch.tensor([1.0, 2.0])
    assert ALONE.alone and ALONE.writes
    assert ALONE.total(values) is values and ALONE.mean(values) is values and ALONE.spread(values) is values
    assert (ALONE.first(3), ALONE.most(4), ALONE.gathered("x")) == (3, 4, ["x"])
    assert ALONE.part(values) == (values, 1.0)
    assert not ALONE.is_of_the_connection(RuntimeError("gloo"))
