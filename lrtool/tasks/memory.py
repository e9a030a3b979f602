"""Data sets that fit in memory: checked, split, and turned into tensors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import Arrays, BuildContext, Data, Dataset, DataShape, Unit

#: What NumPy says of sizes that no array can have.
_NO_ARRAY = ("Maximum allowed", "is too big", "too large")


def split(size: int, val_fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training and the validation samples, each in ascending order: a pure function of its arguments.

    round(size·val_fraction) samples are held out. Raises TaskError for an empty data set, UsageError where a
    fraction above 0 leaves a side empty.
    """
    if size == 0:
        raise TaskError("the data set is empty", where="data", remedy="give at least one sample")
    held_out = validation_size(size, val_fraction)
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(size)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def validation_size(size: int, val_fraction: float) -> int:
    """How many of `size` samples are held out; UsageError where a fraction above 0 leaves a side empty."""
    held_out = round(size * val_fraction)
    if val_fraction and not 0 < held_out < size:
        side = "validation" if held_out == 0 else "training"
        raise UsageError(
            f"{val_fraction:g} of {size} samples leaves none for {side}",
            where="data.val_fraction",
            remedy="write 0 to train without validation, or give more data",
        )
    return held_out


def check_finite(values: NDArray[Any], name: str) -> None:
    """Raise TaskError that names the first sample with a NaN or an infinity."""
    if not np.issubdtype(values.dtype, np.floating):
        return
    bad = ~np.isfinite(values)
    if bad.any():
        place = np.unravel_index(int(bad.argmax()), bad.shape)
        found = "NaN" if np.isnan(values[place]) else "an infinite value"
        inside = f" at {tuple(int(i) for i in place[1:])}" if len(place) > 1 else ""
        raise TaskError(
            f"{name} hold {found} in sample {int(place[0])}{inside} ({int(bad.sum())} such values in all)",
            where="data",
            remedy="clean the data: remove these samples or fill in the values",
        )


def statistics(values: NDArray[Any], axis: int | None = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation to standardise with; a column that never changes keeps a scale of 1."""
    mean = values.mean(axis=axis, dtype=np.float64)
    std = values.std(axis=axis, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)


@contextmanager
def told_where_too_large() -> Iterator[None]:
    """What is made inside and can be no array, whatever the memory, is a TaskError as where memory runs out."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        if isinstance(error, OverflowError) or any(words in str(error) for words in _NO_ARRAY):
            raise TaskError(
                f"memory would run out: no array can be as large as these data would be ({error})",
                where="data",
                remedy="write smaller numbers",
            ) from error
        raise


class InMemory(Dataset):
    """A data set that comes as arrays; subclasses give `arrays` and, where they want, `standardise`."""

    @abstractmethod
    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """All samples, unsplit: floats are inputs or values, integers are classes or tokens."""

    def standardise(self, train: Arrays, val: Arrays | None) -> tuple[Arrays, Arrays | None]:
        """Scale both with the training split's statistics; the default leaves them alone."""
        return train, val

    def check(self, arrays: Arrays) -> None:
        """Raise TaskError for values that cannot be trained with."""
        for part in arrays.inputs:
            check_finite(part, "the inputs")
        check_finite(arrays.target, "the targets")

    def parts(self, arrays: Arrays) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training and validation samples: at random, by `split_seed`."""
        return split(len(arrays), self.val_fraction, self.split_seed)

    def load(self, context: BuildContext) -> Data:
        """Split, standardise, and move to tensors."""
        with told_where_too_large():
            arrays, shape = self.arrays(context)
        self.check(arrays)
        kept, held_out = self.parts(arrays)
        val = arrays.take(held_out) if len(held_out) else None
        train = arrays.take(kept)
        data = as_data(*self.standardise(train, val), shape)
        return replace(data, unit=self.unit(train))

    def unit(self, train: Arrays) -> Unit | None:
        """The unit of a target that `standardise` scales; None where it does not."""
        return None


def scale_inputs(train: Arrays, val: Arrays | None, axis: int | None = 0) -> tuple[Arrays, Arrays | None]:
    """Inputs with the training split's mean 0 and standard deviation 1, per column (axis 0) or overall (None)."""
    scales = [statistics(part, axis) for part in train.inputs]

    def scaled(arrays: Arrays) -> Arrays:
        parts = zip(arrays.inputs, scales, strict=True)
        return Arrays(tuple((part - mean) / std for part, (mean, std) in parts), arrays.target)

    return scaled(train), scaled(val) if val is not None else None


def as_data(train: Arrays, val: Arrays | None, shape: DataShape) -> Data:
    """Sources over tensors: floats in torch's default precision, integers as int64."""
    from lrtool.tasks.sources import TensorSource, as_tensor

    def source(arrays: Arrays) -> TensorSource:
        return TensorSource(tuple(as_tensor(part) for part in arrays.inputs), as_tensor(arrays.target))

    return Data(source(train), source(val) if val is not None else None, shape)
