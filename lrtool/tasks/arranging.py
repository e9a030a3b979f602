"""Models and data made to fit each other: which inputs a model takes by name, and layers that learn their sizes."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext, Data, DataShape, Model
from lrtool.tasks.failures import guarded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lrtool.tasks.sources import Batch

_LOG = logging.getLogger("lrtool")

#: Under which other keys mappings have their targets.
_TARGETS = ("label", "labels", "targets", "y", "class", "classes")
#: What models call it that take it to compute their loss.
_TARGET_PARAMETERS = frozenset({"target", *_TARGETS, "y_true", "ground_truth", "gt"})


@dataclass(eq=False)
class ModelMaker:
    """Makes fresh models of a specification, drawn from torch's current random state.

    `example`: a batch that layers without sizes (`LazyLinear`) learn them from, and others are made for; None where the
    model is whole without one.
    """

    spec: Model
    shape: DataShape
    context: BuildContext
    example: Batch | None = None

    def __call__(self) -> nn.Module:
        """A fresh model, ready to be trained."""
        return self.formed(self.bare())

    def bare(self) -> nn.Module:
        """A fresh model as its code makes it."""
        return self.spec.build(self.shape, self.context)

    def formed(self, model: nn.Module) -> nn.Module:
        """The same model after a forward pass without a gradient, where its layers need one to be what they are."""
        import torch

        if self.example is None:
            return model
        training = model.training
        with torch.no_grad(), guarded("the forward pass that lazy layers learn their sizes from", "model"):
            self.example.forward(model.eval())
        return model.train(training)


def is_lazy(model: nn.Module) -> bool:
    """Whether a model has parameters or buffers without a size yet."""
    from torch.nn.parameter import is_lazy as without_size

    return any(without_size(each) for each in (*model.parameters(), *model.buffers()))


def arranged(data: Data, model: nn.Module) -> Data:
    """The data with their samples read as this model takes them: what is its target, and what goes in by name."""
    return replace(data, train=_arranged(data.train, model), val=_arranged(data.val, model) if data.val else None)


def _arranged(source: Any, model: nn.Module) -> Any:
    import torch

    from lrtool.tasks.loading.stateful import LoaderSource
    from lrtool.tasks.sources import DatasetSource

    if not isinstance(source, DatasetSource | LoaderSource) or not len(source):
        return source
    batch = source.take(torch.arange(1))
    if isinstance(batch.inputs, Mapping):
        return _with_target(source, batch, model) if batch.target is None else source
    alone = batch.inputs[0] if len(batch.inputs) == 1 else None
    if isinstance(alone, Mapping) and _accepts(model, alone):
        return replace(source, spread=True)
    return source


def with_target(data: Data, model: nn.Module, offered: bool) -> Data:
    """The data with the target as a last input too, where the model must have it so, as `forward(self, x, target)`.

    `offered`: also where it may have it, as `forward(self, x, targets=None)`.
    """
    import torch

    batch = data.train.take(torch.arange(1)) if len(data.train) else None
    if batch is None or not isinstance(batch.inputs, tuple) or batch.target is None:
        return data
    needed = _takes_target(model, len(batch.inputs))
    if needed is None or not (needed or offered):
        return data
    return replace(data, train=_also_target(data.train), val=_also_target(data.val) if data.val is not None else None)


def _takes_target(model: nn.Module, inputs: int) -> bool | None:
    """Whether a model's forward pass needs the target after its inputs (or only may have it); None: it takes none."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return None
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if len(places) <= inputs or places[inputs].name.lower() not in _TARGET_PARAMETERS:
        return None
    return places[inputs].default is inspect.Parameter.empty


def _also_target(source: Any) -> Any:
    from lrtool.tasks.sources import TensorSource

    if isinstance(source, TensorSource):
        return TensorSource((*source.inputs, source.target), source.target)
    return replace(source, also_target=True)


def _with_target(source: Any, batch: Batch, model: nn.Module) -> Any:
    """The source with the key that the model does not take for its target, if there is one by a usual name."""
    assert isinstance(batch.inputs, Mapping)
    if _accepts(model, batch.inputs):
        return source
    for key in _TARGETS:
        if key in batch.inputs and _accepts(model, {k: v for k, v in batch.inputs.items() if k != key}):
            return replace(source, target=key)
    return source


def _accepts(model: nn.Module, named: Mapping[str, Any]) -> bool:
    """Whether a model's forward pass can be called with these keyword arguments."""
    try:
        inspect.signature(model.forward).bind(**named)
    except TypeError:
        return False
    except ValueError:  # a signature that nobody can read
        return True
    return True


def numbered(data: Data) -> Data:
    """The data with classes numbered from 0, where they are words, or all are in memory and say 1 … n, or −1 and 1."""
    from lrtool.tasks.sources import DatasetSource, TensorSource

    if isinstance(data.train, DatasetSource):
        return _without_words(data)
    if not isinstance(data.train, TensorSource) or data.train.target.is_floating_point() or data.train.target.ndim > 2:
        return data
    values = np.unique(data.train.target.cpu().numpy()).tolist()
    if values == [-1, 1]:
        _LOG.warning("the classes −1 and 1 are taken as 0 and 1")
        return _mapped(data, lambda target: (target > 0).long(), data.shape.outputs)
    if values and values == list(range(1, len(values) + 1)) and len(values) > 1:
        _LOG.warning("the classes 1 to %d are taken as 0 to %d", len(values), len(values) - 1)
        return _mapped(data, lambda target: target - (target > 0).long(), max(0, data.shape.outputs - 1))
    return data


def _without_words(data: Data) -> Data:
    """The data with numbers of classes, in sorted order, where samples that are read one by one have words for them."""
    import torch

    train: Any = data.train
    batch = train.take(torch.arange(min(1, len(train))))
    if not isinstance(batch.target, tuple | list) or not all(isinstance(each, str) for each in batch.target):
        return data
    sources: list[Any] = [train] if data.val is None else [train, data.val]
    key = train.target if isinstance(batch.inputs, Mapping) else -1
    with guarded("reading the targets of all samples, which are words", "data"):
        words = sorted({each.dataset[at][key] for each in sources for at in range(len(each))})
    _LOG.warning("targets are words, so classes: %s", ", ".join(f"{each!r} is {n}" for n, each in enumerate(words)))
    numbers = {word: number for number, word in enumerate(words)}
    told = [replace(each, dataset=Relabelled(each.dataset, numbers, key)) for each in sources]
    parts = batch.inputs if isinstance(batch.inputs, tuple) else ()
    size = tuple(parts[0].shape[1:]) if len(parts) == 1 and isinstance(parts[0], torch.Tensor) else ()
    return replace(
        data, train=told[0], val=told[1] if data.val is not None else None, shape=DataShape(size, len(words), "class")
    )


class Relabelled:
    """A map-style data set whose targets are words, with numbers of classes in their place; `key`: where they are."""

    def __init__(self, dataset: Any, numbers: Mapping[str, int], key: int | str) -> None:
        self._dataset, self._numbers, self._key = dataset, numbers, key
        self.classes = list(numbers)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, number: int) -> Any:
        sample = self._dataset[number]
        target = self._numbers[sample[self._key]]
        return {**sample, self._key: target} if isinstance(sample, Mapping) else (*sample[:-1], target)


def _mapped(data: Data, change: Callable[[Tensor], Tensor], outputs: int) -> Data:
    def changed(source: Any) -> Any:
        return replace(source, target=change(source.target)) if source is not None else None

    shape = replace(data.shape, outputs=outputs)
    return replace(data, train=changed(data.train), val=changed(data.val), shape=shape)


def balanced(data: Data) -> NDArray[np.float64]:
    """Weights by which every class is drawn equally often, (samples,); UsageError where the classes are not known."""
    from lrtool.tasks.sources import TensorSource

    source = data.train
    if isinstance(source, TensorSource):
        targets = source.target.cpu().numpy()
    else:
        dataset: Any = getattr(source, "dataset", None)
        chosen = None
        if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):
            dataset, chosen = dataset.dataset, np.asarray(dataset.indices)
        targets = np.asarray(getattr(dataset, "targets", ()))
        targets = targets[chosen] if chosen is not None and len(targets) else targets
    if targets.ndim != 1 or targets.dtype.kind not in "iu" or len(targets) != len(source):
        raise UsageError(
            "the classes of the training samples are not known beforehand",
            where="data.sampler",
            remedy="give the data set an attribute `targets`, return a DataLoader with a WeightedRandomSampler, or"
            " write sampler: random",
        )
    _, inverse, counts = np.unique(targets, return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = 1.0 / counts[inverse]
    return weights
