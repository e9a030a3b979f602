"""What of a model's output the loss and the metrics look at: a tensor inside tuples, mappings and objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lrtool.errors import TaskError
from lrtool.tasks.losses.base import WeightedMean, describe

if TYPE_CHECKING:
    from torch import Tensor

#: Names under which models give their predictions, the likeliest first.
_NAMES = ("logits", "output", "outputs", "prediction", "predictions", "pred", "preds", "y_hat", "out", "scores")

Select = Callable[[Any], Any]


def selection(output: Any, wanted: int | str | None = None) -> Select:
    """How to get the predictions out of outputs like this one; `wanted`: a place in a tuple, or a name.

    Unsaid: a tensor itself, the first tensor of a tuple, else what is called logits, output, prediction … or the only
    tensor there is. Raises TaskError where that is not to be told.
    """
    import torch

    if wanted is not None:
        return _wanted(output, wanted)
    if isinstance(output, torch.Tensor):
        return _Found()
    _where(output)
    return _Found()


@dataclasses.dataclass(frozen=True)
class _Found:
    """The predictions wherever they are: a model may return more in training than in evaluation."""

    def __call__(self, output: Any) -> Any:
        import torch

        return output if isinstance(output, torch.Tensor) else _where(output)(output)


def _where(output: Any) -> Select:
    """Where in an output that is no tensor its predictions are; TaskError where that is not to be told."""
    import torch

    if isinstance(output, tuple | list) and not hasattr(output, "_fields"):
        if output and isinstance(output[0], torch.Tensor):
            return _Item(0)
        raise _unclear(output)
    found = _tensors(output)
    names = [name for name in _NAMES if name in found] or (list(found) if len(found) == 1 else [])
    if not names:
        raise _unclear(output)
    return _Item(names[0]) if isinstance(output, Mapping) else _Attribute(names[0])


@dataclasses.dataclass(frozen=True)
class _Item:
    """One entry of a tuple or mapping."""

    key: int | str

    def __call__(self, output: Any) -> Any:
        return output[self.key]


@dataclasses.dataclass(frozen=True)
class _Attribute:
    """One attribute of an object."""

    name: str

    def __call__(self, output: Any) -> Any:
        return getattr(output, self.name)


def whole(output: Any) -> Any:
    """All of it."""
    return output


def selected(function: Callable[[Any, Any], Any], select: Select) -> Callable[[Any, Any], Any]:
    """A function (output, target) of what is selected of the output."""
    if select is whole:
        return function
    part = _Selected(function, select)
    if not isinstance(function, WeightedMean):
        return part
    return WeightedMean(part, _Selected(function.weight, select), function.even)


@dataclasses.dataclass(frozen=True)
class _Selected:
    """A loss or metric of a part of the output."""

    function: Callable[[Any, Any], Any]
    select: Select

    def __call__(self, output: Any, target: Any) -> Any:
        return self.function(self.select(output), target)


def _wanted(output: Any, wanted: int | str) -> Select:
    select: Select = _Item(wanted)
    if isinstance(wanted, str) and not isinstance(output, Mapping):
        select = _Attribute(wanted)
    try:
        select(output)
    except (KeyError, IndexError, AttributeError, TypeError):
        have = ", ".join(_tensors(output)) or "nothing by name"
        raise TaskError(
            f"the model's output, {describe(output)}, has no {wanted!r}",
            where="model.output",
            remedy=f"it has: {have}" if not isinstance(output, tuple) else f"write 0 … {len(output) - 1}",
        ) from None
    return select


def _tensors(output: Any) -> dict[str, Tensor]:
    """The tensors of a mapping, a dataclass or another object, by name."""
    import torch

    if isinstance(output, Mapping):
        entries: Any = output.items()
    elif hasattr(output, "_fields"):
        entries = zip(output._fields, output, strict=True)
    else:
        slots = [name for cls in type(output).__mro__ for name in getattr(cls, "__slots__", ())]
        named = {name: getattr(output, name) for name in slots if hasattr(output, name)}
        entries = {**named, **getattr(output, "__dict__", {})}.items()
    return {str(name): value for name, value in entries if isinstance(value, torch.Tensor)}


def _unclear(output: Any) -> TaskError:
    named = list(_tensors(output)) if not isinstance(output, list) else []
    what = f"the model returns {describe(output)}" + (f" with {', '.join(named)}" if named else "")
    return TaskError(
        f"{what}, and which tensor the predictions are is not clear",
        where="model",
        remedy="write model: {use: …, output: logits} (a name, or a place such as 0), return one tensor,"
        " or write a loss of your own: loss: {use: 'my_loss.py:loss'}",
    )
