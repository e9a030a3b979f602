"""Random draws of stacked models, each from its own trial's stream: a pure function of seed, update and place.

Torch draws for a whole stack from one generator, so that a trial's dropout would depend on its company.
Here every draw is a hash of (trial's key, update, number of the draw, position), so a trial sees the same
masks whoever trains beside it, in whatever order, compiled or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_aten = torch.ops.aten
_WORD = 0xFFFFFFFF
# Keeps these streams apart from the one that initial weights are drawn from.
_STREAM = 0xD0A5


def key_of(seed: int) -> int:
    """A trial's key, 32 bits."""
    return int(np.random.SeedSequence([seed, _STREAM]).generate_state(1)[0])


def mixed(x: Tensor) -> Tensor:
    """A bijective hash of 32-bit words kept in int64. Source: the constants of C. Wellons' hash prospector."""
    # Both factors are below 2³¹, so that no product overflows int64.
    x = (x ^ (x >> 16)) * 0x21F0AAAD & _WORD
    x = (x ^ (x >> 15)) * 0x735A2D97 & _WORD
    return x ^ (x >> 15)


def uniform(keys: Tensor, number: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Values in [0, 1), shape (models, …); model k's are a function of keys[k], shape (models,), and `number`."""
    count = math.prod(shape[1:])
    key = mixed(keys ^ mixed(torch.full_like(keys, 2 * number + 1)))
    places = mixed(torch.arange(count, device=keys.device).unsqueeze(0) ^ key.unsqueeze(1))
    words = mixed(places ^ mixed(key ^ keys).unsqueeze(1))
    # 24 bits are what a float32 holds exactly; half precision rounds some of them up to 1.
    return ((words >> 8).to(torch.float32) / 2**24).to(dtype).reshape(shape)


class Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, what a vmapped model draws comes from `keys`, shape (models,).

    `shared` is set when an operator draws in a way that is not known here, and so from torch's generator.
    """

    def __init__(self, keys: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._keys, self._number = keys, 0
        self.shared = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Replace a random operator by its hashed form."""
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        form = _FORMS.get(func)
        like = args[0] if args and isinstance(args[0], Tensor) else None
        shape = like.shape if like is not None else torch.Size(args[0])
        if form is None or not shape or shape[0] != len(self._keys):
            self.shared = True
            return func(*args, **kwargs)
        dtype = like.dtype if like is not None else kwargs.get("dtype") or torch.get_default_dtype()
        self._number += 2
        values = [uniform(self._keys, self._number + i, shape, _real(dtype)) for i in range(_NEEDS.get(func, 1))]
        return form(values, like, *args[1:], **kwargs)


class Witness(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operators, their floating-point operations and the bytes they write; notices any random draws."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.random, self.operators, self.flops, self.bytes = False, 0, 0, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Look, and pass on."""
        result = func(*args, **(kwargs or {}))
        self.random = self.random or torch.Tag.nondeterministic_seeded in func.tags
        self.operators += 1
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        if not func.is_view:
            self.bytes += sum(t.numel() * t.element_size() for t in tree_leaves(result) if isinstance(t, Tensor))
        return result


def _real(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point else torch.float32


def _dropout(u: list[Tensor], x: Tensor, p: float, train: bool | None = True) -> tuple[Tensor, Tensor]:
    kept = u[0] >= p
    # p = 1 keeps nothing, and nothing is then divided by zero.
    return x * kept / max(1 - p, 1e-38), kept


def _normal(u: list[Tensor]) -> Tensor:
    """Two uniform values to a standard normal one (Box & Muller 1958)."""
    return (-2 * (1 - u[0]).log()).sqrt() * (2 * math.pi * u[1]).cos()


def _bernoulli_(u: list[Tensor], x: Tensor, p: float = 0.5, **_: Any) -> Tensor:
    return x.copy_(u[0] < p)


def _uniform_(u: list[Tensor], x: Tensor, low: float = 0.0, high: float = 1.0, **_: Any) -> Tensor:
    return x.copy_(low + (high - low) * u[0])


def _normal_(u: list[Tensor], x: Tensor, mean: float = 0.0, std: float = 1.0, **_: Any) -> Tensor:
    return x.copy_(mean + std * _normal(u))


_FORMS: dict[Any, Callable[..., Any]] = {
    _aten.native_dropout.default: _dropout,
    _aten.bernoulli_.float: _bernoulli_,
    _aten.bernoulli.p: lambda u, x, p, **_: (u[0] < p).to(x.dtype),
    _aten.bernoulli.default: lambda u, x, **_: (u[0] < x).to(x.dtype),
    _aten.uniform_.default: _uniform_,
    _aten.normal_.default: _normal_,
    _aten.rand_like.default: lambda u, x, **_: u[0],
    _aten.randn_like.default: lambda u, x, **_: _normal(u),
    _aten.rand.default: lambda u, _, **__: u[0],
    _aten.randn.default: lambda u, _, **__: _normal(u),
}
#: Uniform values that a drawn one takes, where it is not one.
_NEEDS = dict.fromkeys((_aten.normal_.default, _aten.randn_like.default, _aten.randn.default), 2)
