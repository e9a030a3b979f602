"""Batch order, and sources of either kind."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import TensorDataset

from lrtool.errors import TaskError
from lrtool.tasks.sources import BatchOrder, DatasetSource, TensorSource, as_batch, as_tensor


@given(st.integers(0, 2**63), st.integers(1, 200), st.integers(1, 50), st.integers(0, 1000))
def test_an_epoch_is_a_permutation_without_its_remainder(seed: int, size: int, batch_size: int, epoch: int) -> None:
    order = BatchOrder(seed, size, batch_size)
    indices = order.epoch(epoch)
    assert indices.shape == (size // batch_size, batch_size)
    assert indices.dtype == np.int64
    flat = indices.ravel()
    assert len(set(flat.tolist())) == len(flat)
    assert not len(flat) or (flat.min() >= 0 and flat.max() < size)
    assert np.array_equal(indices, BatchOrder(seed, size, batch_size).epoch(epoch))


def test_the_order_is_pinned_and_differs_by_seed_and_epoch() -> None:
    first = BatchOrder(0, 10, 5).epoch(0)
    assert first.tolist() == [[0, 7, 8, 6, 9], [5, 1, 3, 2, 4]]
    assert not np.array_equal(first, BatchOrder(0, 10, 5).epoch(1))
    assert not np.array_equal(first, BatchOrder(1, 10, 5).epoch(0))


def test_tensors_in_memory_are_indexed() -> None:
    source = TensorSource((torch.arange(12.0).view(6, 2),), torch.arange(6))
    batch = source.to(torch.device("cpu")).take(torch.tensor([4, 1]))
    assert batch.inputs[0].tolist() == [[8, 9], [2, 3]]
    assert batch.target.tolist() == [4, 1]
    assert len(source) == 6


def test_a_data_set_is_fetched_by_index_and_collated() -> None:
    x, y = torch.randn(6, 2), torch.arange(6)
    memory, lazy = TensorSource((x,), y), DatasetSource([(x[i], int(y[i])) for i in range(6)])
    index = torch.tensor([5, 0, 3])
    assert torch.equal(lazy.take(index).inputs[0], memory.take(index).inputs[0])
    assert torch.equal(lazy.take(index).target, memory.take(index).target)


def test_samples_are_fetched_at_once_where_the_data_set_can() -> None:
    class Many(TensorDataset):
        def __getitem__(self, index: int):
            raise AssertionError("one by one")

        def __getitems__(self, index: list[int]):
            return [(self.tensors[0][i], self.tensors[1][i]) for i in index]

    batch = DatasetSource(Many(torch.arange(4.0), torch.arange(4))).take(torch.tensor([2, 3]))
    assert batch.target.tolist() == [2, 3]


def test_a_data_set_may_collate_by_itself() -> None:
    class Ragged(list):
        @staticmethod
        def collate_fn(samples):
            return torch.nn.utils.rnn.pad_sequence([x for x, _ in samples], batch_first=True), torch.zeros(len(samples))

    batch = DatasetSource(Ragged([(torch.ones(n + 1), 0) for n in range(3)])).take(torch.arange(3))
    assert batch.inputs[0].shape == (3, 3)


def test_ragged_samples_are_explained() -> None:
    source = DatasetSource([(torch.ones(n + 1), 0) for n in range(3)])
    with pytest.raises(TaskError, match="must have one shape and type"):
        source.take(torch.arange(3))


def test_mappings_go_to_the_model_by_keyword_and_keep_labels() -> None:
    batch = as_batch({"ids": torch.ones(2), "labels": torch.zeros(2), "target": torch.ones(2)})
    assert set(batch.inputs) == {"ids", "labels"}
    assert batch.target is not None
    assert as_batch({"ids": torch.ones(2)}).target is None


def test_samples_without_a_target_are_refused() -> None:
    with pytest.raises(TaskError, match=r"return \(x, y\)"):
        DatasetSource([torch.ones(2), torch.ones(2)]).take(torch.arange(2))


def test_arrays_become_the_default_precision_and_tensors_stay() -> None:
    assert as_tensor(np.zeros(2)).dtype == torch.float32
    assert as_tensor(np.zeros(2, np.uint8)).dtype == torch.int64
    assert as_tensor(np.zeros(2, bool)).dtype == torch.bool
    assert as_tensor(torch.zeros(2, dtype=torch.float64)).dtype == torch.float64
