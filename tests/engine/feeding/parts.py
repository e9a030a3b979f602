"""What the tests of feeds share: a data set that draws, and a loader that knows where it is."""

from dataclasses import replace

import torch
from torch.utils.data import Dataset

from lrtool.tasks.sources import DatasetSource
from tests.engine.contract import small_task


class Drawn(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, i):
        if i > 100:
            raise IndexError(i)
        return torch.rand(6) + i, i % 3


class Own:
    """Passes of three batches, from a place."""

    def __init__(self):
        self.n = 0

    def __iter__(self):
        while self.n < 3:
            self.n += 1
            yield torch.full((4, 6), float(self.n)) + torch.rand(4, 6), torch.arange(4) % 3
        self.n = 0

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


def task_of(source):
    return replace(small_task(), train=source, val=None, batch_size=4)


def drawn_task(**loading):
    return task_of(DatasetSource(Drawn(), **loading))


def whole(index):
    """All samples of a batch are this process's."""
    return index, 1.0


def values(batch):
    """What a batch holds, as plain data."""
    return batch.inputs[0].tolist(), batch.target.tolist()
