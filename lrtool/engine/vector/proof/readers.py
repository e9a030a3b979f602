"""How each type of value is read: what it is by itself, and its parts."""

from __future__ import annotations

import collections
import functools
import io
import random
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.engine.vector.proof.fingerprint import Parts, StatePlace
from lrtool.engine.vector.proof.leaves import atom, digest
from lrtool.engine.vector.proof.usercode import in_library

if TYPE_CHECKING:
    from lrtool.engine.vector.proof.walk import Walk

#: A container of plain values only, from this length on, is one value.
_LONG = 64


def _sequence(walk: Walk, place: StatePlace, value: Iterable[Any]) -> tuple[Any, Parts]:
    items = list(value)
    plain = [atom(item) for item in items] if len(items) >= _LONG else []
    if plain and all(each is not None for each in plain):
        return (len(items), hash(tuple(plain))), []
    return len(items), [(place.at(f"[{i}]"), item) for i, item in enumerate(items)]


def _mapping(walk: Walk, place: StatePlace, value: Mapping[Any, Any]) -> tuple[Any, Parts]:
    pairs = list(value.items())
    plain = [(atom(k), atom(v)) for k, v in pairs] if len(pairs) >= _LONG else []
    if plain and all(k is not None and v is not None for k, v in plain):
        return (len(pairs), hash(tuple(plain))), []
    parts: list[tuple[StatePlace, Any]] = []
    for i, (key, each) in enumerate(pairs):
        if atom(key) is None:
            parts.append((place.at(f"[key {i} itself]"), key))
        parts.append((place.at(f"[{key!r}]" if atom(key) is not None else f"[key {i}]"), each))
    if isinstance(value, collections.defaultdict):
        parts.append((place.at(".default_factory"), value.default_factory))
    # The order is state too: what was used last may be moved to the end.
    return tuple(atom(key) for key, _ in pairs), parts


def _set(walk: Walk, place: StatePlace, value: Iterable[Any]) -> tuple[Any, Parts]:
    items = list(value)
    rest = [item for item in items if atom(item) is None]
    plain = frozenset(atom(item) for item in items if atom(item) is not None)
    return (len(items), plain), [(place.at(f"[member {i}]"), item) for i, item in enumerate(rest)]


def _array(walk: Walk, place: StatePlace, value: Any) -> tuple[Any, Parts]:
    if value.dtype.hasobject:
        return value.shape, [(place.at("[items]"), value.tolist())]
    return (value.shape, str(value.dtype), digest(value)), []


def _numpy_generator(walk: Walk, place: StatePlace, value: Any) -> tuple[Any, Parts]:
    state = value.bit_generator.state if isinstance(value, np.random.Generator) else _state_of(value)
    return "generator", [(place.at("[state]"), state)]


def _state_of(value: Any) -> Any:
    return value.get_state(legacy=False) if isinstance(value, np.random.RandomState) else value.state


def _random(walk: Walk, place: StatePlace, value: random.Random) -> tuple[Any, Parts]:
    if isinstance(value, random.SystemRandom):
        return "the operating system's", []
    return hash(value.getstate()), []


def _function(walk: Walk, place: StatePlace, value: types.FunctionType) -> tuple[Any, Parts]:
    return walk.function_parts(place, value)


def _class(walk: Walk, place: StatePlace, value: type) -> tuple[Any, Parts]:
    return walk.class_parts(place, value)


def _method(walk: Walk, place: StatePlace, value: types.MethodType) -> tuple[Any, Parts]:
    return "method", [(place.at("[function]"), value.__func__), (place.at("[self]"), value.__self__)]


def _builtin(walk: Walk, place: StatePlace, value: Any) -> tuple[Any, Parts]:
    owner = getattr(value, "__self__", None)
    bound = owner is not None and not isinstance(owner, types.ModuleType)
    return value.__name__, [(place.at("[self]"), owner)] if bound else []


def _parts_of(*names: str) -> Callable[[Walk, StatePlace, Any], tuple[Any, Parts]]:
    def read(walk: Walk, place: StatePlace, value: Any) -> tuple[Any, Parts]:
        return "parts", [(place.at(f".{name}"), getattr(value, name)) for name in names]

    return read


def _cached(walk: Walk, place: StatePlace, value: Any) -> tuple[Any, Parts]:
    info = value.cache_info()
    return (info.misses, info.currsize), [(place.at(".__wrapped__"), value.__wrapped__)]


def _generator(walk: Walk, place: StatePlace, value: types.GeneratorType[Any, Any, Any]) -> tuple[Any, Parts]:
    frame = value.gi_frame
    if frame is None:
        return "ended", []
    walk.remember(frame.f_code)
    return frame.f_lasti, [(place.at(f".{name}"), each) for name, each in dict(frame.f_locals).items()]


def _file(walk: Walk, place: StatePlace, value: io.IOBase) -> tuple[Any, Parts]:
    return (value.closed, None if value.closed or not value.seekable() else value.tell()), []


def _module(walk: Walk, place: StatePlace, value: types.ModuleType) -> tuple[Any, Parts]:
    if in_library(value.__name__):
        return value.__name__, []
    plain = {name: each for name, each in vars(value).items() if not name.startswith("__") and atom(each) is not None}
    return value.__name__, [
        (StatePlace("the global", f"{value.__name__}.{name}"), each) for name, each in plain.items()
    ]


def _weak(walk: Walk, place: StatePlace, value: Any) -> tuple[Any, Parts]:
    return "reference", [(place.at("()"), value())]


_Reader = Callable[["Walk", StatePlace, Any], tuple[Any, Parts]]
READERS: list[tuple[Any, _Reader]] = [
    (types.FunctionType, _function),
    (type, _class),
    (types.MethodType, _method),
    (types.BuiltinFunctionType | types.MethodWrapperType, _builtin),
    (functools.partial, _parts_of("func", "args", "keywords")),
    (functools._lru_cache_wrapper, _cached),
    ((classmethod, staticmethod), _parts_of("__func__")),
    (property, _parts_of("fget", "fset", "fdel")),
    (functools.cached_property, _parts_of("func")),
    (types.ModuleType, _module),
    (types.GeneratorType, _generator),
    (weakref.ref, _weak),
    (io.IOBase, _file),
    (random.Random, _random),
    ((np.random.Generator, np.random.RandomState, np.random.BitGenerator), _numpy_generator),
    (np.ndarray, _array),
    ((dict, types.MappingProxyType), _mapping),
    ((list, tuple, collections.deque), _sequence),
    ((set, frozenset), _set),
]
