"""A user's data in every form that is allowed, and in those that are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Subset, TensorDataset

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.adapt import adapt
from lrtool.tasks.base import BuildContext, Data, DataShape
from lrtool.tasks.datasets.use import UseData
from lrtool.tasks.sources import DatasetSource, TensorSource

X, Y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 4


class Lazy:
    """A map-style data set that is no torch Dataset."""

    classes = ("a", "b", "c", "d")

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.tensor(X[index], dtype=torch.float32), int(Y[index])


def split(returned: object) -> Data:
    return adapt(returned, 0.25, 0)


@pytest.mark.parametrize(
    "returned",
    [
        (X, Y),
        [X, Y],
        (torch.tensor(X), torch.tensor(Y)),
        (X.tolist(), Y.tolist()),
        TensorDataset(torch.tensor(X), torch.tensor(Y)),
        Subset(TensorDataset(torch.tensor(X), torch.tensor(Y)), range(20)),
    ],
)
def test_data_in_memory_become_tensors(returned: object) -> None:
    data = split(returned)
    assert isinstance(data.train, TensorSource)
    assert isinstance(data.val, TensorSource)
    assert (len(data.train), len(data.val)) == (15, 5)
    assert data.shape == DataShape((3,), 4, "class")
    assert data.train.target.dtype == torch.int64
    both = torch.cat([data.train.inputs[0], data.val.inputs[0]])
    np.testing.assert_allclose(np.sort(both.numpy().ravel()), np.sort(X.ravel()), rtol=1e-6)


def test_a_data_set_is_split_and_keeps_its_classes() -> None:
    data = split(Lazy())
    assert isinstance(data.train, DatasetSource)
    assert (len(data.train), len(data.val or ())) == (15, 5)
    assert data.shape == DataShape((3,), 4, "class")


def test_a_list_of_samples_is_a_data_set() -> None:
    data = split([(torch.ones(3), torch.zeros(1))] * 8)
    assert isinstance(data.train, DatasetSource)
    assert data.shape == DataShape((3,), 1, "value")


@pytest.mark.parametrize("pair", [((X[:15], Y[:15]), (X[15:], Y[15:])), (Lazy(), Lazy()), [Lazy(), Lazy()]])
def test_a_pair_is_taken_as_it_is(pair: object) -> None:
    data = split(pair)
    assert len(data.train) in (15, 20)
    assert data.val is not None
    assert len(data.val) in (5, 20)


def test_both_sides_of_a_pair_count_for_the_classes() -> None:
    assert split(((X, Y), (X, Y + 3))).shape.outputs == 7


def test_no_validation() -> None:
    assert adapt((X, Y), 0.0, 0).val is None


@pytest.mark.parametrize(
    ("returned", "shape"),
    [
        ((X, X), DataShape((3,), 3, "value")),
        ((X, X[:, 0]), DataShape((3,), 1, "value")),
        ((X, X, Y), DataShape((), 4, "class")),
        ((Y[:, None], Y[:, None] + 1), DataShape((1,), 5, "token", 5)),
        ((X, Y[:, None]), DataShape((3,), 4, "class")),
        ((X, X > 0), DataShape((3,), 3, "labels")),
        ((X, (X > 0).astype(np.float32)), DataShape((3,), 3, "labels")),
        ((X, np.eye(4)[Y]), DataShape((3,), 4, "class")),
        ((X, (X[:, 0] > 0).astype(np.float32)), DataShape((3,), 1, "labels")),
        ((X, np.array(["cat", "dog"] * 10)), DataShape((3,), 2, "class")),
        ((torch.tensor(X), torch.tensor(Y).to(torch.uint8)), DataShape((3,), 4, "class")),
        ([{"ids": torch.ones(2)}] * 5, DataShape()),
    ],
)
def test_the_shape_is_read_off_the_data(returned: object, shape: DataShape) -> None:
    assert split(returned).shape == shape


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "a NoneType, which cannot be indexed; return a torch Dataset"),
        (X, "a ndarray alone"),
        (3, "an int, which cannot be indexed"),
        ({"x": X}, "a dict alone"),
        ((X,), "1 part and no target"),
        ((X, Y[:5]), "different numbers of samples: 20, 5"),
        ((X, None), "the targets are not numbers but of type object"),
        ((np.array([["a"]] * 20), Y), "the inputs are not numbers"),
        (([[1.0], [1.0, 2.0]], [0, 1]), r"making an array of the inputs \(are all rows of one length\?\)"),
        ((X[:0], Y[:0]), "empty"),
        (((X, Y), (X[:0], Y[:0])), "the validation data set is empty"),
        ((np.where(X > 1, np.nan, X), Y), "the inputs hold NaN in sample"),
        ((X, np.where(X > 1, np.inf, X)), "the targets hold an infinite value in sample"),
        (TensorDataset(torch.tensor(X)), "1 part and no target"),
        ([torch.ones(2), 3], "the targets are a single number"),
    ],
)
def test_other_forms_are_refused_with_the_allowed_ones(returned: object, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        split(returned)


def test_a_fraction_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.val_fraction: 0\.01 of 20 samples leaves none for validation"):
        adapt((X, Y), 0.01, 0)


def test_a_data_set_that_raises_names_its_line(context: BuildContext, write: Callable[[str, str], Path]) -> None:
    path = write(
        "data.py",
        """
        class Broken:
            def __len__(self):
                return 10
            def __getitem__(self, index):
                raise KeyError("lost")
        """,
    )
    with pytest.raises(TaskError, match=f"^{path}:6: fetching samples from the data set raised KeyError: 'lost'"):
        UseData(use="data.py:Broken").load(context)
