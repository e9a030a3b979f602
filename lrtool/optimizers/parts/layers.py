"""A model's parameters in order, its embeddings, and how deep each parameter lies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from torch import nn

#: A part of a name that ends in a number: `3`, `layer4`, `encoder_layer_11`.
_NUMBERED = re.compile(r"(.*?)(\d+)")

#: Where a layer stands: the names above it and its stem, and its number.
_Layer = tuple[tuple[str, ...], str, int]
#: What stands before the first block, and after the last.
_BEFORE, _AFTER = "before", "after"


@dataclass(frozen=True)
class Parameters:
    """The shapes of a model's parameters by name, in the order of its modules; which belong to embeddings.

    `sparse`: those of embeddings whose gradients hold only the rows that were looked up.
    """

    shapes: Mapping[str, tuple[int, ...]]
    embeddings: frozenset[str] = field(default_factory=frozenset)
    sparse: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, model: nn.Module | Iterable[tuple[str, nn.Parameter]]) -> Self:
        """Those of a module; of named parameters alone nobody knows which are embeddings."""
        from torch import nn

        if not isinstance(model, nn.Module):
            return cls({name: tuple(parameter.shape) for name, parameter in model})
        tables = [module for module in model.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)]
        held = {id(parameter): module.sparse for module in tables for parameter in module.parameters(recurse=False)}
        named = list(model.named_parameters())
        found = {name: held[id(parameter)] for name, parameter in named if id(parameter) in held}
        shapes = {name: tuple(parameter.shape) for name, parameter in named}
        return cls(shapes, frozenset(found), frozenset(name for name, sparse in found.items() if sparse))

    @property
    def output(self) -> str | None:
        """The last parameter with two or more dimensions: as a rule the matrix of the output layer."""
        return next((name for name in reversed(list(self.shapes)) if len(self.shapes[name]) > 1), None)


def depths(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """How many layers lie below each parameter's own, 0 for the first, by names and order alone.

    A layer is a numbered block (`blocks.3.…`, `layer4.…`) of a list of blocks that are mostly alike; of several in a
    name the outermost. What comes before the first block (embeddings, stem) is one layer, what comes after the last
    (final norm, head) another, what stands between two belongs to the one before it. Without blocks each module with
    a matrix is a layer. Norms and biases never make a layer of their own.
    """
    keys = _keys(list(shapes))
    solid = {keys[name] for name, shape in shapes.items() if len(shape) > 1} | {_AFTER}
    found: dict[object, int] = {}
    now, out = 0, {}
    for name, key in keys.items():
        if key not in found and (key in solid or not found):
            found[key] = len(found)
        out[name] = now = now if key is None else found.get(key, now)
    return out


def _keys(names: list[str]) -> dict[str, object]:
    """What says which layer each parameter is of; None: that of the one before it."""
    lists = _lists(names)
    blocks = {name: next((at for at in _numbers(name) if at[:2] in lists), None) for name in names}
    inside = [number for number, name in enumerate(names) if blocks[name] is not None]
    if not inside:
        return {name: name.rpartition(".")[0] for name in names}
    around = {name: _BEFORE if number < inside[0] else _AFTER if number > inside[-1] else None
              for number, name in enumerate(names)}  # fmt: skip
    return {name: around[name] if block is None else block for name, block in blocks.items()}


def _numbers(name: str) -> list[_Layer]:
    """Every numbered part of a name, the outermost first; a parameter's own number counts its module's layers."""
    parts = name.split(".")
    out: list[_Layer] = []
    for at, part in enumerate(parts):
        if match := _NUMBERED.fullmatch(part.removesuffix("_reverse")):
            stem = match[1] if at < len(parts) - 1 else ""
            out.append((tuple(parts[:at]), stem, int(match[2])))
    return out


def _lists(names: Iterable[str]) -> set[tuple[tuple[str, ...], str]]:
    """The lists of blocks: those with two or more members, most of which are alike; where there are none, any."""
    inner: dict[tuple[tuple[str, ...], str], dict[int, set[str]]] = {}
    for name in names:
        for above, stem, number in _numbers(name):
            parts = name.split(".")
            below = parts[len(above) + 1 :] or [re.sub(r"\d+", "", parts[-1])]
            inner.setdefault((above, stem), {}).setdefault(number, set()).add(".".join(below))
    several = {key: members for key, members in inner.items() if len(members) > 1}
    alike = {key for key, members in several.items() if _most_common(members.values()) > len(members) / 2}
    return alike or set(several)


def _most_common(members: Iterable[set[str]]) -> int:
    return max(Counter(frozenset(each) for each in members).values())
