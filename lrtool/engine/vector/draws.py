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

from lrtool.engine.cost.work import draws
from lrtool.engine.private import OperatorMode

_aten = torch.ops.aten
# Keeps these streams apart from the one that initial weights are drawn from.
_STREAM = 0xD0A5


def key_of(seed: int) -> int:
    """A trial's key, 32 bits with a sign."""
    return int(np.random.SeedSequence([seed, _STREAM]).generate_state(1).view(np.int32)[0])


def mixed(x: Tensor) -> Tensor:
    """A bijective hash of words of 32 bits, kept in int32. Source: the constants of C. Wellons' hash prospector."""
    x = (x ^ _shifted(x, 16)) * 0x21F0AAAD
    x = (x ^ _shifted(x, 15)) * 0x735A2D97
    x = x ^ _shifted(x, 15)
    # The compiler writes out what is read twice twice, so a hash of a hash of a hash 2ⁿ times: that took minutes.
    # A view by strides is where it stops, and keeps what it has.
    return x.as_strided(x.shape, x.stride())


def _shifted(x: Tensor, bits: int) -> Tensor:
    # The sign is shifted in too. Int64 would hold the word without one, but is slow where there is no AVX-512.
    return x >> bits & (1 << 32 - bits) - 1


def uniform(keys: Tensor, number: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Values in [0, 1), shape (models, …); model k's are a function of `number` and keys[k], int32, shape (models,)."""
    count = math.prod(shape[1:])
    key = mixed(keys ^ mixed(torch.full_like(keys, 2 * number + 1)))
    places = mixed(torch.arange(count, dtype=torch.int32, device=keys.device).unsqueeze(0) ^ key.unsqueeze(1))
    drawn = mixed(places ^ mixed(key ^ keys).unsqueeze(1))
    # 24 bits are what a float32 holds exactly; half precision rounds some of them up to 1.
    return (_shifted(drawn, 8).to(torch.float32) / 2**24).to(dtype).reshape(shape)


class Draws(OperatorMode):  # type: ignore[no-untyped-call]
    """A context in which what a vmapped model draws comes from `keys`, shape (models,).

    `alone`: one model that is not vmapped draws what it would as the only one of a stack. `unknown`: the first operator
    that draws in a way that is not known here, and so from torch's generator. `drawn`: the shape of each draw of one
    model.
    """

    def __init__(self, keys: Tensor, alone: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alone = alone
        self.unknown: str | None = None
        self.begin(keys)

    def begin(self, keys: Tensor) -> None:
        """Draw anew, as the keys say."""
        self._keys, self._number = keys, 0
        self.drawn: list[torch.Size] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Replace a random operator by its hashed form."""
        kwargs = kwargs or {}
        if not draws(func):
            return func(*args, **kwargs)
        form = _FORMS.get(func)
        like = next((each for each in args if isinstance(each, Tensor)), None)
        shape = None if form is None else _shape(args)
        if shape is not None and self._alone:
            shape = torch.Size((1, *shape))
        if form is None or not shape or shape[0] != len(self._keys):
            self.unknown = self.unknown or str(func)
            return func(*args, **kwargs)
        dtype = like.dtype if like is not None else kwargs.get("dtype") or torch.get_default_dtype()
        self._number += 2
        self.drawn.append(shape[1:])
        values = [uniform(self._keys, self._number + i, shape, _real(dtype)) for i in range(_NEEDS.get(func, 1))]
        if self._alone:
            values = [each[0] for each in values]
        return form(values, *args, **kwargs)


def _shape(args: Sequence[Any]) -> torch.Size:
    """What a random operator draws: as its tensors say, else as the first list does."""
    tensors = [each.shape for each in args if isinstance(each, Tensor)]
    if tensors:
        return torch.Size(torch.broadcast_shapes(*tensors))  # type: ignore[no-untyped-call]
    return next((torch.Size(each) for each in args if isinstance(each, list | tuple)), torch.Size())


def _real(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point else torch.float32


def _dropout(u: list[Tensor], x: Tensor, p: float, train: bool | None = True) -> tuple[Tensor, Tensor]:
    kept = u[0] >= p
    # p = 1 keeps nothing, and nothing is then divided by zero.
    return x * kept / max(1 - p, 1e-38), kept


def _normal(u: list[Tensor]) -> Tensor:
    """Two uniform values to a standard normal one (Box & Muller 1958)."""
    return (-2 * (1 - u[0]).log()).sqrt() * (2 * math.pi * u[1]).cos()


def _whole(u: Tensor, low: float, high: float) -> Tensor:
    """Whole numbers low … high−1."""
    # A value that half precision rounded up to 1 would give `high`.
    return (low + ((high - low) * u).floor()).clamp(max=high - 1)


def _bernoulli_(u: list[Tensor], x: Tensor, p: float | Tensor = 0.5, **_: Any) -> Tensor:
    return x.copy_(u[0] < p)


def _uniform_(u: list[Tensor], x: Tensor, low: float = 0.0, high: float = 1.0, **_: Any) -> Tensor:
    return x.copy_(low + (high - low) * u[0])


def _normal_(u: list[Tensor], x: Tensor, mean: float = 0.0, std: float = 1.0, **_: Any) -> Tensor:
    return x.copy_(mean + std * _normal(u))


def _exponential_(u: list[Tensor], x: Tensor, rate: float = 1.0, **_: Any) -> Tensor:
    # Torch gives no 0 either, so that its logarithm is finite.
    return x.copy_((-(1 - u[0]).log() / rate).clamp(min=torch.finfo(u[0].dtype).tiny))


_FORMS: dict[Any, Callable[..., Any]] = {
    _aten.native_dropout.default: _dropout,
    _aten.bernoulli_.float: _bernoulli_,
    _aten.bernoulli_.Tensor: _bernoulli_,
    _aten.bernoulli.p: lambda u, x, p, **_: (u[0] < p).to(x.dtype),
    _aten.bernoulli.default: lambda u, x, **_: (u[0] < x).to(x.dtype),
    _aten.uniform_.default: _uniform_,
    _aten.normal_.default: _normal_,
    _aten.exponential_.default: _exponential_,
    _aten.normal.Tensor_float: lambda u, mean, std=1.0, **_: mean + std * _normal(u),
    _aten.normal.float_Tensor: lambda u, mean, std, **_: mean + std * _normal(u),
    _aten.normal.Tensor_Tensor: lambda u, mean, std, **_: mean + std * _normal(u),
    _aten.rand_like.default: lambda u, x, **_: u[0],
    _aten.randn_like.default: lambda u, x, **_: _normal(u),
    _aten.rand.default: lambda u, *_, **__: u[0],
    _aten.randn.default: lambda u, *_, **__: _normal(u),
    _aten.randint.default: lambda u, high, _, dtype=None, **__: _whole(u[0], 0, high).to(dtype or torch.int64),
    _aten.randint.low: lambda u, low, high, _, dtype=None, **__: _whole(u[0], low, high).to(dtype or torch.int64),
    _aten.randint_like.default: lambda u, x, high, **_: _whole(u[0], 0, high).to(x.dtype),
    _aten.randint_like.low_dtype: lambda u, x, low, high, **_: _whole(u[0], low, high).to(x.dtype),
}
#: Uniform values that a drawn one takes, where it is not one.
_NEEDS = dict.fromkeys(
    (
        _aten.normal_.default,
        _aten.normal.Tensor_float,
        _aten.normal.float_Tensor,
        _aten.normal.Tensor_Tensor,
        _aten.randn_like.default,
        _aten.randn.default,
    ),
    2,
)
