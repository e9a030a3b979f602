"""A stream without an end that draws as it goes, and one that knows where it is."""

import itertools
import random
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 1))


class Endless(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for n in itertools.count():
            x = torch.rand(3) + random.random() * (n % 3)
            yield x, x.sum().reshape(1)


class Placed(IterableDataset):
    def __init__(self, size: int = 64) -> None:
        self.n, self.size = 0, size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while self.n < self.size:
            self.n += 1
            x = torch.rand(3) + self.n / self.size
            yield x, x.sum().reshape(1)
        self.n = 0

    def state_dict(self) -> dict[str, int]:
        return {"n": self.n}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.n = state["n"]


def val() -> tuple[Tensor, Tensor]:
    x = torch.rand(32, 3, generator=torch.Generator().manual_seed(4))
    return x, x.sum(1, keepdim=True)


def endless() -> tuple[DataLoader, tuple[Tensor, Tensor]]:
    return DataLoader(Endless(), batch_size=8), val()


def placed(workers: int = 0) -> tuple[DataLoader, tuple[Tensor, Tensor]]:
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(Placed(), batch_size=8, num_workers=workers), val()
