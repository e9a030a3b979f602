"""A user's data as sources: data sets, tuples of tensors or arrays, or a (train, val) pair of either."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.errors import TaskError
from lrtool.tasks.base import Data, DataShape, TargetKind
from lrtool.tasks.custom import article
from lrtool.tasks.failures import guarded
from lrtool.tasks.loading.loaders import Samples, classes_of, samples_of
from lrtool.tasks.loading.stateful import LoaderSource, is_stateful_loader, unbatched
from lrtool.tasks.memory import check_finite, split

if TYPE_CHECKING:
    from torch import Tensor

    from lrtool.tasks.sources import Source

_LOG = logging.getLogger("lrtool")

_WANTED = (
    "return a torch Dataset or DataLoader, a tuple (inputs…, target) of tensors or arrays,"
    " or a (train, val) pair of either"
)


def adapt(returned: Any, val_fraction: float, seed: int, most: int = 20_000, target: str | None = None) -> Data:
    """Sources over what a data target returned; a single data set is split, a pair keeps its own validation set.

    `most`: samples that are kept of a stream; `target`: the key of the target in mappings. Raises TaskError where it is
    none of the forms allowed, is empty, or holds NaN or infinite values.
    """
    val: Source | None
    if isinstance(returned, tuple | list) and len(returned) == 2 and all(_is_dataset(part) for part in returned):
        (train, given), (val, _) = _own_order(returned[0], most, target), _source(returned[1], most, target)
        weights = given.weights
    elif is_stateful_loader(returned):
        (train, given), val, weights = _own_order(returned, most, target), None, None
        _LOG.warning("a loader's batches come in its own order, so none is held out; return (train, val) to validate")
    else:
        whole, given = _source(returned, most, target)
        kept, held_out = split(len(whole), val_fraction, seed)
        train = _part(whole, kept)
        val = _part(whole, held_out) if len(held_out) else None
        weights = given.weights[kept] if given.weights is not None else None
    for name, source in (("training", train), ("validation", val)):
        if source is not None and len(source) == 0:
            raise TaskError(f"the {name} data set is empty", where="data", remedy="give at least one sample")
    return Data(train, val, _shape(train, val), given.batch_size, given.drop_last, weights)


def _own_order(value: Any, most: int, target: str | None) -> tuple[Source, Samples]:
    """Training data as a source: a loader that knows where it is keeps its order."""
    if not is_stateful_loader(value):
        return _source(value, most, target)
    source = LoaderSource.of(value, most, target or "target")
    return source, Samples(value, batch_size=source.batch_size, drop_last=True)


def _is_dataset(value: Any) -> bool:
    if _is_array(value) or isinstance(value, Mapping | str):
        return False
    if isinstance(value, list):
        return _is_samples(value) or (bool(value) and all(_is_array(part) for part in value))
    return isinstance(value, tuple) or hasattr(value, "__getitem__") or hasattr(value, "__iter__")


def _is_samples(value: Any) -> bool:
    """Whether a list is a data set, its items being samples, and not an array or the parts of one."""
    return isinstance(value, list) and bool(value) and _is_sample(value[0])


def _is_sample(item: Any) -> bool:
    """Whether it is a sample: a tuple or mapping, or a list that begins with an array and ends with a single value."""
    if not isinstance(item, list):
        return isinstance(item, tuple | Mapping)
    array = len(item) > 1 and _is_array(item[0]) and item[0].ndim > 0
    return array and (isinstance(item[-1], int | float | str | np.number) or getattr(item[-1], "ndim", 1) == 0)


def _is_array(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor | np.ndarray)


def _source(value: Any, most: int, target: str | None) -> tuple[Source, Samples]:
    """A source over a data set, a loader or a stream, and what else that said."""
    from torch.utils.data import Subset, TensorDataset

    from lrtool.tasks.sources import DatasetSource

    if isinstance(value, tuple | list) and not _is_samples(value):
        return _tensors(value), Samples(value)
    if _is_array(value) or isinstance(value, Mapping | str):
        raise TaskError(f"the data target returned {article(value)} alone", where="data", remedy=_WANTED)
    found = samples_of(unbatched(value, most), most)
    dataset = found.dataset
    if found.collate is None and isinstance(dataset, TensorDataset):
        return _tensors(dataset.tensors), found
    if found.collate is None and isinstance(dataset, Subset) and isinstance(dataset.dataset, TensorDataset):
        return _tensors(tuple(part[list(dataset.indices)] for part in dataset.dataset.tensors)), found
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise TaskError(
            f"the data target returned {article(value)}, which cannot be indexed", where="data", remedy=_WANTED
        )
    source = DatasetSource(dataset, collate=found.collate, target=target or "target")
    return replace(source, loading=found.loading) if found.loading is not None else source, found


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
        if number == count - 1 and _are_words(array):
            array = _classes(array)
        if array.dtype.kind not in "fiub":
            raise TaskError(
                f"{name} are not numbers but of type {array.dtype}", where="data", remedy="return a numeric array"
            )
        tensor = as_tensor(array)
    if number == count - 1 and not tensor.is_floating_point() and not tensor.is_complex():
        tensor = tensor.long()
    if tensor.ndim == 0:
        raise TaskError(f"{name} are a single number", where="data", remedy="the first axis is the sample")
    return tensor


def _are_words(array: Any) -> bool:
    if array.ndim != 1 or not array.size:
        return False
    return array.dtype.kind in "US" or (array.dtype.kind == "O" and all(isinstance(each, str) for each in array))


def _classes(words: Any) -> Any:
    """Words as numbers of classes, in sorted order; said, so that people know which is which."""
    values, labels = np.unique(words.astype(str), return_inverse=True)
    shown = ", ".join(f"{name!r} is {number}" for number, name in enumerate(values[:10].tolist()))
    _LOG.warning("targets are words, so classes: %s%s", shown, " …" if len(values) > 10 else "")
    return labels.astype(np.int64)


def _part(source: Source, index: Any) -> Source:
    import torch
    from torch.utils.data import Subset

    from lrtool.tasks.sources import DatasetSource, TensorSource

    if isinstance(source, TensorSource):
        batch = source.take(torch.from_numpy(index))
        assert isinstance(batch.inputs, tuple)
        return TensorSource(batch.inputs, batch.target)
    assert isinstance(source, DatasetSource)
    return replace(source, dataset=Subset(source.dataset, index.tolist()))


def _shape(train: Source, val: Source | None) -> DataShape:
    """What can be told of a model's task: from all targets in memory, else from the first sample."""
    import torch

    from lrtool.tasks.sources import DatasetSource, TensorSource

    if isinstance(train, TensorSource):
        sources = [source for source in (train, val) if isinstance(source, TensorSource)]
        outputs = max(_largest(source.target) for source in sources) + 1
        return _shape_of(train.inputs, train.target, outputs)
    batch = train.take(torch.arange(1))
    if not isinstance(batch.inputs, tuple):
        return DataShape()
    dataset = train.dataset if isinstance(train, DatasetSource) else getattr(train, "loader", None)
    return _shape_of(batch.inputs, batch.target, classes_of(dataset))


def shape_by_target(target: Any) -> DataShape:
    """What a first batch's target alone tells, of inputs that are mappings or nested; unknown where it is no tensor."""
    import torch

    if not isinstance(target, torch.Tensor) or not target.ndim:
        return DataShape()
    return _shape_of((torch.zeros(1),), target[:1] if target.is_floating_point() else target, 0)


def _largest(target: Tensor) -> int:
    return -1 if target.is_floating_point() or not target.numel() else int(target.max())


def _shape_of(inputs: tuple[Any, ...], target: Any, outputs: int) -> DataShape:
    import torch

    if not (isinstance(target, torch.Tensor) and all(isinstance(part, torch.Tensor) for part in inputs)):
        return DataShape()
    size = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else ()
    if target.ndim == 2 and target.shape[1] > 1 and _is_yes_or_no(target) and not _is_text(inputs, target):
        one_each = bool((target.sum(1) == 1).all()) and len(target) > 1
        return DataShape(size, target.shape[1], "class" if one_each else "labels")
    if target.is_floating_point():
        kind: TargetKind = "labels" if math.prod(target.shape[1:]) == 1 and _is_yes_or_no(target) else "value"
        return DataShape(size, math.prod(target.shape[1:]), kind if len(target) > 1 else "value")
    if target.ndim > 1 and _is_text(inputs, target):
        vocabulary = max(outputs, _largest(inputs[0]) + 1)
        return DataShape(size, vocabulary, "token", vocabulary)
    # One class for each sample, or for each place in it.
    return DataShape(size, outputs, "class")


def _is_yes_or_no(target: Tensor) -> bool:
    """Whether all values are 0 or 1."""
    return bool(((target == 0) | (target == 1)).all())


def _is_text(inputs: tuple[Any, ...], target: Tensor) -> bool:
    """Whether inputs and targets are tokens, one for each place."""
    return len(inputs) == 1 and not inputs[0].is_floating_point() and inputs[0].shape == target.shape
