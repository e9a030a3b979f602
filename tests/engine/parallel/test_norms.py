"""Batch norm of a divided batch is that of the whole one, gradients and what is remembered included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lrtool.engine.parallel.division import part_of
from lrtool.engine.parallel.norms import SyncedNorms, has_norms
from lrtool.engine.parallel.ranks import Ranks
from tests.engine.parallel.processes import together


def parts(model: nn.Module, ranks: Ranks) -> dict[str, Any]:
    torch.manual_seed(1)
    x = torch.randn(7, 3, 4, 4)
    own, factor = part_of(len(x), ranks.rank, ranks.size)
    with SyncedNorms(ranks) if not ranks.alone else torch.enable_grad():
        y = model(x[own])
    (y.square().mean() * factor).backward()
    gradients = [ranks.mean(p.grad.clone()) for p in model.parameters() if p.grad is not None]
    return {"y": y.detach(), "gradients": gradients, "buffers": [b.clone().double() for b in model.buffers()]}


def test_a_divided_batch_is_normalised_as_a_whole_one(tmp_path: Path) -> None:
    def made() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 2, 1), nn.BatchNorm2d(2))

    wanted = parts(made(), Ranks())
    found = together(tmp_path, 2, lambda ranks: parts(made(), ranks))
    torch.testing.assert_close(torch.cat([each["y"] for each in found]), wanted["y"])
    for each in found:
        torch.testing.assert_close(each["gradients"], wanted["gradients"], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(each["buffers"], wanted["buffers"])


def test_evaluation_and_models_without_it_are_left_alone() -> None:
    norm = nn.BatchNorm1d(3).eval()
    x = torch.randn(4, 3)
    with SyncedNorms(Ranks(0, 2)):
        torch.testing.assert_close(norm(x), norm.forward(x))
    assert has_norms(norm) and not has_norms(nn.Linear(3, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kind_of_number_stays(dtype: torch.dtype) -> None:
    with SyncedNorms(Ranks()):
        assert nn.BatchNorm1d(3)(torch.randn(4, 3).to(dtype)).dtype == dtype
