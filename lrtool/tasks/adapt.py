"""A user's data as sources: data sets, tuples of tensors or arrays, or a (train, val) pair of either."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.errors import TaskError
from lrtool.tasks.base import Data, DataShape
from lrtool.tasks.custom import article
from lrtool.tasks.failures import guarded
from lrtool.tasks.memory import check_finite, split

if TYPE_CHECKING:
    from torch import Tensor

    from lrtool.tasks.sources import Source

_WANTED = "return a torch Dataset, a tuple (inputs…, target) of tensors or arrays, or a (train, val) pair of either"


def adapt(returned: Any, val_fraction: float, seed: int) -> Data:
    """Sources over what a data target returned; a single data set is split, a pair keeps its own validation set.

    Raises TaskError where it is none of the forms allowed, is empty, or holds NaN or infinite values.
    """
    val: Source | None
    if isinstance(returned, tuple | list) and len(returned) == 2 and all(_is_dataset(part) for part in returned):
        train, val = _source(returned[0]), _source(returned[1])
    else:
        whole = _source(returned)
        kept, held_out = split(len(whole), val_fraction, seed)
        train = _part(whole, kept)
        val = _part(whole, held_out) if len(held_out) else None
    for name, source in (("training", train), ("validation", val)):
        if source is not None and len(source) == 0:
            raise TaskError(f"the {name} data set is empty", where="data", remedy="give at least one sample")
    return Data(train, val, _shape(train, val))


def _is_dataset(value: Any) -> bool:
    if _is_array(value) or isinstance(value, Mapping | str):
        return False
    if isinstance(value, list):
        return _is_samples(value) or (bool(value) and all(_is_array(part) for part in value))
    return isinstance(value, tuple) or hasattr(value, "__getitem__") or hasattr(value, "__iter__")


def _is_samples(value: Any) -> bool:
    """Whether a list is a data set, its items being samples, and not an array or the parts of one."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], tuple | Mapping)


def _is_array(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor | np.ndarray)


def _source(value: Any) -> Source:
    from torch.utils.data import IterableDataset, Subset, TensorDataset

    from lrtool.tasks.sources import DatasetSource

    if isinstance(value, TensorDataset):
        return _tensors(value.tensors)
    if isinstance(value, Subset) and isinstance(value.dataset, TensorDataset):
        return _tensors(tuple(part[list(value.indices)] for part in value.dataset.tensors))
    if isinstance(value, tuple | list) and not _is_samples(value):
        return _tensors(value)
    if isinstance(value, IterableDataset) or not (hasattr(value, "__getitem__") and hasattr(value, "__len__")):
        raise TaskError(
            f"the data target returned {article(value)}, which cannot be indexed", where="data", remedy=_WANTED
        )
    if _is_array(value) or isinstance(value, Mapping | str):
        raise TaskError(f"the data target returned {article(value)} alone", where="data", remedy=_WANTED)
    return DatasetSource(value)


def _tensors(parts: Any) -> Source:
    """Parts of one length, at least one input and the target, all finite."""
    import torch

    from lrtool.tasks.sources import TensorSource

    if len(parts) < 2:
        raise TaskError(f"the data have {len(parts)} part and no target", where="data", remedy=_WANTED)
    tensors = [_tensor(part, number, len(parts)) for number, part in enumerate(parts)]
    lengths = [len(part) for part in tensors]
    if len(set(lengths)) > 1:
        raise TaskError(
            f"the parts of the data have different numbers of samples: {', '.join(map(str, lengths))}",
            where="data",
            remedy="give inputs and target of the same length",
        )
    for number, part in enumerate(tensors):
        if part.is_floating_point():
            check_finite(part.to(torch.float64).numpy(), _part_name(number, len(tensors)))
    return TensorSource(tuple(tensors[:-1]), tensors[-1])


def _part_name(number: int, count: int) -> str:
    if number == count - 1:
        return "the targets"
    return "the inputs" if count == 2 else f"the inputs (part {number + 1})"


def _tensor(part: Any, number: int, count: int) -> Tensor:
    import torch

    from lrtool.tasks.sources import as_tensor

    name = _part_name(number, count)
    if isinstance(part, torch.Tensor):
        tensor = part.detach().cpu()
    else:
        with guarded(f"making an array of {name} (are all rows of one length?)", "data"):
            array = np.asarray(part)
        if array.dtype.kind not in "fiub":
            raise TaskError(
                f"{name} are not numbers but of type {array.dtype}", where="data", remedy="return a numeric array"
            )
        tensor = as_tensor(array)
    if tensor.ndim == 0:
        raise TaskError(f"{name} are a single number", where="data", remedy="the first axis is the sample")
    return tensor


def _part(source: Source, index: Any) -> Source:
    import torch
    from torch.utils.data import Subset

    from lrtool.tasks.sources import DatasetSource, TensorSource

    if isinstance(source, TensorSource):
        batch = source.take(torch.from_numpy(index))
        assert isinstance(batch.inputs, tuple)
        return TensorSource(batch.inputs, batch.target)
    assert isinstance(source, DatasetSource)
    subset: Any = Subset(source.dataset, index.tolist())
    for name in ("collate_fn", "classes"):  # Subset forwards only samples
        if hasattr(source.dataset, name):
            setattr(subset, name, getattr(source.dataset, name))
    return DatasetSource(subset)


def _shape(train: Source, val: Source | None) -> DataShape:
    """What can be told of a model's task: from all targets in memory, else from the first sample."""
    import torch

    from lrtool.tasks.sources import DatasetSource, TensorSource

    if isinstance(train, TensorSource):
        sources = [source for source in (train, val) if isinstance(source, TensorSource)]
        outputs = max(_largest(source.target) for source in sources) + 1
        return _shape_of(train.inputs, train.target, outputs)
    assert isinstance(train, DatasetSource)
    batch = train.take(torch.arange(1))
    if not isinstance(batch.inputs, tuple):
        return DataShape()
    return _shape_of(batch.inputs, batch.target, len(getattr(train.dataset, "classes", ())))


def _largest(target: Tensor) -> int:
    return -1 if target.is_floating_point() or not target.numel() else int(target.max())


def _shape_of(inputs: tuple[Any, ...], target: Any, outputs: int) -> DataShape:
    import torch

    if not (isinstance(target, torch.Tensor) and all(isinstance(part, torch.Tensor) for part in inputs)):
        return DataShape()
    size = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else ()
    if target.is_floating_point():
        return DataShape(size, math.prod(target.shape[1:]), "value")
    if target.ndim == 1:
        return DataShape(size, outputs, "class")
    if len(inputs) == 1 and not inputs[0].is_floating_point() and inputs[0].shape == target.shape:
        vocabulary = max(outputs, _largest(inputs[0]) + 1)
        return DataShape(size, vocabulary, "token", vocabulary)
    return DataShape(size)
