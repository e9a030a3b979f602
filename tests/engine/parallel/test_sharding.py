"""A model spread over processes: which parts come together, and whole tensors from shards and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lrtool.engine.parallel.ranks import Ranks
from lrtool.engine.parallel.sharding import _blocks, shard, spread_like, whole
from lrtool.errors import UsageError
from tests.engine.parallel.processes import together


class Blocks(nn.Module):
    """Two blocks in a list, of which one shares its weights with the head."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 4)])
        self.head = nn.Linear(4, 4)
        self.head.weight = self.blocks[1].weight


def test_blocks_are_those_of_lists_that_share_nothing() -> None:
    model = Blocks()
    assert _blocks(model) == [model.blocks[0]]
    assert _blocks(nn.Linear(3, 3)) == []


@pytest.mark.deep
def test_there_and_back(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> Any:
        torch.manual_seed(0)
        plain = {name: p.detach().clone() for name, p in Blocks().named_parameters()}
        torch.manual_seed(0)
        model = shard(Blocks(), torch.device("cpu"), ranks)
        parts = dict(model.named_parameters())
        local: Any = parts["blocks.0.0.weight"]
        found = {name: whole(p.detach()) for name, p in parts.items()}
        again: Any = spread_like(plain["head.bias"] + 1, parts["head.bias"])
        number = spread_like(torch.tensor(3.0), parts["head.bias"])
        return local.to_local().shape, found, plain, whole(again), type(number)

    for shape, found, plain, again, kind in together(tmp_path, 2, work):
        assert shape == (2, 4) and kind is torch.Tensor
        torch.testing.assert_close(found, plain, rtol=0, atol=0)
        torch.testing.assert_close(again, plain["head.bias"] + 1)


def test_a_parameter_that_is_a_single_number() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

    with pytest.raises(UsageError, match="single number"):
        shard(Scaled(), torch.device("cpu"), Ranks(0, 2))


def test_whole_tensors_stay_as_they_are() -> None:
    tensor = torch.randn(3)
    assert whole(tensor) is tensor and spread_like(tensor, torch.randn(3)) is tensor
