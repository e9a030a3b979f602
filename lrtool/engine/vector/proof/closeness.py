"""Whether two ways to compute one update agree: rounding is let through, another method is not."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]

#: How far a gradient, or what an update changes, may be off, as a part of its largest entry.
TOLERANCE = 1e-3
#: The same of a loss.
_LOSS = 1e-4
#: An entry's gradient says something where it is this part of its tensor's largest, and that of the model's largest.
_SAYS, _SAYS_IN_MODEL = 1e-2, 1e-5


def losses_agree(one: Tensor, other: Tensor) -> bool:
    """Whether two losses are the same, or neither is finite."""
    if not (torch.isfinite(one).all() and torch.isfinite(other).all()):
        return bool((torch.isfinite(one) == torch.isfinite(other)).all())
    return bool(((one - other).abs() <= _LOSS * other.abs() + 1e-6).all())


def gradients_differ(found: Tensors, expected: Tensors) -> str | None:
    """The name of a gradient that is not the expected one; what is expected nowhere must be 0."""
    largest = max((_largest(each) for each in expected.values()), default=0.0)
    for name, gradient in found.items():
        wanted = expected.get(name, torch.zeros_like(gradient))
        if not _near(gradient, wanted, TOLERANCE * _largest(wanted) + TOLERANCE * 1e-3 * largest + 1e-9):
            return name
    return None


def changes_differ(before: Tensors, found: Tensors, expected: Tensors) -> str | None:
    """The name of a tensor that became another than expected, by what changed in it, so that no slow drift passes."""
    for name, start in before.items():
        one, other = found[name], expected[name]
        if one.shape != other.shape or one.dtype != other.dtype:
            return name
        if not one.is_floating_point() and not one.is_complex():
            if not torch.equal(one, other):
                return name
            continue
        rounding = 8 * torch.finfo(one.dtype).eps * max(_largest(start), _largest(other))
        if not _near(one, other, TOLERANCE * _largest(other - start) + rounding):
            return name
    return None


def telling(gradients: Tensors) -> Tensors:
    """Where a gradient is more than rounding (as a bias before a normalisation has), so that its update says much."""
    largest = max((_largest(each) for each in gradients.values()), default=0.0)
    return {
        name: gradient.abs() >= max(_SAYS * _largest(gradient), _SAYS_IN_MODEL * largest)
        for name, gradient in gradients.items()
    }


def _largest(tensor: Tensor) -> float:
    return tensor.abs().max().item() if tensor.numel() else 0.0


def _near(one: Tensor, other: Tensor, distance: float) -> bool:
    if not (torch.isfinite(one).all() and torch.isfinite(other).all()):
        return bool((torch.isfinite(one) == torch.isfinite(other)).all())
    return _largest(one - other) <= distance
