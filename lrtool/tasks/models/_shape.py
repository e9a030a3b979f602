"""What the built-in models ask of a data set's shape, and what they say when it does not fit."""

from __future__ import annotations

import math

from lrtool.errors import UsageError
from lrtool.tasks.base import DataShape


def outputs(shape: DataShape, kind: str) -> int:
    """How many outputs the model needs; UsageError where the data set does not say."""
    if shape.outputs < 1:
        raise UsageError(
            f"the data set does not say how many outputs a {kind} model needs",
            where="model",
            remedy="give the data set an attribute `classes` (a list), return tensors, or bring a model with `use:`",
        )
    return shape.outputs


def numbers(shape: DataShape, kind: str) -> tuple[int, ...]:
    """One sample's shape; UsageError where samples are tokens, mappings or unknown."""
    if shape.vocabulary is not None:
        raise UsageError(
            f"a {kind} model reads numbers, but this data set gives tokens",
            where="model.kind",
            remedy="write kind: transformer or kind: gru",
        )
    if not shape.inputs:
        raise UsageError(
            f"a {kind} model needs samples that are one tensor of a fixed shape with at least one axis",
            where="model.kind",
            remedy="bring a model that fits the data: model: {use: 'my_model.py:Net'}",
        )
    return shape.inputs


def features(shape: DataShape, kind: str) -> int:
    """Numbers in one flattened sample."""
    return math.prod(numbers(shape, kind))


def planes(shape: DataShape, kind: str) -> tuple[int, tuple[int, ...]]:
    """Channels and spatial sizes: (L,) is one channel of L, then (C, L) and (C, H, W)."""
    match numbers(shape, kind):
        case (length,):
            return 1, (length,)
        case (channels, *sizes) if len(sizes) <= 2:
            return channels, tuple(sizes)
    raise UsageError(
        f"a {kind} model takes samples of shape (L,), (C, L) or (C, H, W), but these have shape {shape.inputs}",
        where="model.kind",
        remedy="write kind: mlp, which takes any shape",
    )
