"""Rows of a Hugging Face data set as samples that a model can take: tensors, padded where they differ in length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

#: What stands where a sequence is shorter than others of its batch: in inputs, and in targets, where it does not count.
_PAD, _IGNORED = 0, -100
#: Bytes up to which samples of one shape are kept in memory.
_IN_MEMORY = 2**30


class RowSamples:
    """A map-style data set of rows: `(input, target)`, or of several inputs a mapping by the columns' names.

    `numbers`: what the words of a target stand for. `targets` has them all where each is one number, else it is empty;
    `classes` names the classes, if they are known.
    """

    def __init__(self, rows: Any, inputs: Sequence[str], target: str, numbers: Mapping[str, int]) -> None:
        self.inputs, self.target, self._numbers = tuple(inputs), target, numbers
        self._rows = rows.with_format("torch", columns=[*inputs, target])
        given = rows.with_format(None)[target][:] if len(rows) else []
        scalar = bool(given) and not isinstance(given[0], list | dict)
        self.targets = np.array([numbers.get(each, each) for each in given]) if scalar else np.empty(0)
        self.classes: Sequence[str] = self._classes(rows)

    def _classes(self, rows: Any) -> Sequence[str]:
        named = getattr(rows.features[self.target], "names", None)
        if named or self._numbers:
            return list(named or self._numbers)
        whole = self.targets.dtype.kind in "iub" and len(self.targets)
        return [str(number) for number in range(int(self.targets.max()) + 1)] if whole else []

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Any:
        row = self._rows[number]
        target = self._target(row[self.target])
        if len(self.inputs) == 1:
            return _values(row[self.inputs[0]]), target
        return {**{name: _values(row[name]) for name in self.inputs}, self.target: target}

    def _target(self, value: Any) -> Any:
        import torch

        return torch.tensor(self._numbers[value]) if isinstance(value, str) else value

    def collate_fn(self, samples: list[Any]) -> Any:
        """A batch, in which shorter sequences are filled up."""
        if isinstance(samples[0], Mapping):
            return {
                name: _stacked([each[name] for each in samples], _IGNORED if name == self.target else _PAD)
                for name in samples[0]
            }
        values, targets = zip(*samples, strict=True)
        return _stacked(values, _PAD), _stacked(targets, _IGNORED)

    def in_memory(self) -> tuple[Tensor, Tensor] | None:
        """All samples at once, where there is one input, they are of one shape, and there is room."""
        import torch

        if len(self.inputs) != 1 or not len(self):
            return None
        first, target = self[0]
        if len(self) * (first.numel() * first.element_size() + target.numel() * 8) > _IN_MEMORY:
            return None
        samples = [self[number] for number in range(len(self))]
        if any(x.shape != first.shape or y.shape != target.shape for x, y in samples):
            return None
        return torch.stack([x for x, _ in samples]), torch.stack([y for _, y in samples])


def _values(value: Any) -> Tensor:
    """A tensor as a model takes it; bytes, as of images (height, width, channels), from −1 to 1 and channels first."""
    import torch

    tensor = value if isinstance(value, torch.Tensor) else torch.as_tensor(value)
    if tensor.dtype != torch.uint8:
        return tensor
    tensor = tensor.float() / 127.5 - 1
    return tensor.permute(2, 0, 1) if tensor.ndim == 3 and tensor.shape[-1] in (1, 3, 4) else tensor


def _stacked(values: Sequence[Tensor], fill: int) -> Tensor:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    if len({each.shape for each in values}) == 1:
        return torch.stack(list(values))
    return pad_sequence(list(values), batch_first=True, padding_value=fill)
