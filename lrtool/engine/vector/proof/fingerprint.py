"""What a task's code remembers besides parameters and buffers, as a table of places and values that can be compared.

Read are the attributes of every submodule and of what they hold (containers, objects, arrays, tensors, random
generators, iterators), classes, functions with what they enclose and their defaults, hooks, and the globals that the
user's functions name. Libraries' own classes and globals are not.
"""

from __future__ import annotations

import collections
import functools
import io
import itertools
import random
import types
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from lrtool.engine.vector.proof.leaves import UNREAD, atom, digest, leaf
from lrtool.engine.vector.proof.usercode import in_library, is_users, names_in

#: Values that are read at most; a larger world is compared as far as it was read.
_MOST = 50_000
#: A container of plain values only, from this length on, is one value.
_LONG = 64


class Place(NamedTuple):
    """Where a value stands: what kind of thing holds it ("the model's attribute"), and its path from there."""

    holder: str
    path: str

    def at(self, step: str) -> Place:
        """The place of a part."""
        joined = f"{self.path}{step}" if self.path else step.removeprefix(".")
        return Place(self.holder, joined)

    def __str__(self) -> str:
        return f"{self.holder} `{self.path}`" if self.path else self.holder.removesuffix("'s attribute")


@dataclass
class Running:
    """Code of the user's that was seen to run, and the globals that it ran among."""

    code: types.CodeType
    globals: Mapping[str, Any]


@dataclass
class Fingerprint:
    """`values`: a value for each place, comparable. `unread`: places whose state no way is known to read.

    `codes`: the user's code that was met, by which a place can be found in his files.
    """

    values: dict[Place, Any] = field(default_factory=dict)
    unread: dict[Place, str] = field(default_factory=dict)
    codes: dict[types.CodeType, None] = field(default_factory=dict)

    def changed(self, other: Fingerprint) -> Place | None:
        """The place that says most closely where two differ; None where they are alike."""
        mine, its = self.values, other.values
        if mine == its:
            return None
        differing = [place for place in mine.keys() & its.keys() if mine[place] != its[place]]
        if differing:
            # What a place holds is part of what the place above it is.
            return min(differing, key=lambda place: (-_depth(place), place))
        return min(mine.keys() ^ its.keys(), key=lambda place: (_depth(place), place))


def _depth(place: Place) -> int:
    return place.path.count(".") + place.path.count("[")


def fingerprint(model: nn.Module, roots: Iterable[tuple[Place, Any]]) -> Fingerprint:
    """Read `roots`, which are places and what stands there; the model's own tensors by form, not by content."""
    own = {id(tensor): name for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers())}
    walk = _Walk(own)
    walk.run(list(roots))
    return walk.found


Parts = Iterable[tuple[Place, Any]]


class _Walk:
    """Depth first, in an order that only depends on what is read."""

    def __init__(self, own: Mapping[int, str]) -> None:
        self.found = Fingerprint()
        self._own = own
        # By identity; the values are kept, so that no identity is given twice.
        self._seen: dict[int, tuple[Place, Any]] = {}
        self._named: set[tuple[int, str]] = set()

    def run(self, waiting: list[tuple[Place, Any]]) -> None:
        waiting = waiting[::-1]
        while waiting and len(self.found.values) < _MOST:
            place, value = waiting.pop()
            known = self._known(place, value)
            if known is None:
                try:
                    token, parts = self._read(place, value)
                    parts = list(parts)
                except Exception as error:
                    # A property or descriptor of the user's that fails is a value as well.
                    token, parts = ("fails", type(error).__name__), []
                waiting.extend(reversed(parts))
            else:
                token = known
            self.found.values[place] = token

    def _known(self, place: Place, value: Any) -> Any:
        """The value itself where it is plain; where it was read before, where."""
        plain = atom(value)
        if plain is not None:
            return plain
        if id(value) in self._seen:
            return "as", self._seen[id(value)][0]
        self._seen[id(value)] = place, value
        return None

    def _read(self, place: Place, value: Any) -> tuple[Any, Parts]:
        """What a value is by itself, and its parts."""
        kind = type(value).__qualname__
        if isinstance(value, Tensor):
            return self._tensor(place, value)
        if isinstance(value, nn.Module):
            return self._module(place, value)
        for types_, reader in _READERS:
            if isinstance(value, types_):
                token, parts = reader(self, place, value)
                return (kind, token), itertools.chain(parts, self._attributes(place, value))
        plain = leaf(value)
        if plain is not None:
            return plain, self._attributes(place, value)
        return (kind, "object"), self._object(place, value)

    def _tensor(self, place: Place, tensor: Tensor) -> tuple[Any, Parts]:
        own = self._own.get(id(tensor))
        form = (tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad)
        hooks = [getattr(tensor, name, None) for name in ("_backward_hooks", "_post_accumulate_grad_hooks")]
        parts = [(place.at(f"[hooks {i}]"), list(held.values())) for i, held in enumerate(hooks) if held]
        parts += self._attributes(place, tensor)
        return (form, own if own is not None else digest(tensor)), parts

    def _module(self, place: Place, module: nn.Module) -> tuple[Any, Parts]:
        derived = _derived(module)
        parts: list[tuple[Place, Any]] = []
        for name, value in vars(module).items():
            if name in ("_parameters", "_buffers", "_modules"):
                parts += [(place.at(f".{key}"), held) for key, held in value.items()]
            elif name.endswith("_hooks") and isinstance(value, dict):
                # Their keys are numbers that go on from model to model.
                parts += [(place.at(f".{name}[{i}]"), hook) for i, hook in enumerate(value.values())]
            elif name not in derived and not (name.startswith("_") and isinstance(value, dict | set) and not value):
                parts.append((place.at(f".{name}"), value))
        return ("module", type(module).__qualname__), itertools.chain(parts, self._class_of(module))

    def _object(self, place: Place, value: Any) -> Parts:
        """The attributes of an object; where it has none, what it would be copied or pickled by."""
        attributes = list(self._attributes(place, value))
        if attributes or hasattr(value, "__dict__") or _slots(type(value)):
            return attributes
        reduced = _reduced(value)
        if reduced is None:
            self.found.unread[place] = type(value).__qualname__
            return []
        return [(place.at(f"[{i}]"), part) for i, part in enumerate(reduced)]

    def _attributes(self, place: Place, value: Any) -> Parts:
        """`__dict__` and slots, and the class where it is the user's."""
        held = getattr(value, "__dict__", None)
        if isinstance(held, dict) and not isinstance(value, type | types.ModuleType):
            yield from ((place.at(f".{name}"), each) for name, each in held.items())
        for name in _slots(type(value)):
            if hasattr(value, name):
                yield place.at(f".{name}"), getattr(value, name)
        yield from self._class_of(value)

    def _class_of(self, value: Any) -> Parts:
        for each in type(value).__mro__:
            if not in_library(str(each.__module__)):
                yield Place("the class", each.__qualname__), each

    def class_parts(self, place: Place, cls: type) -> tuple[Any, Parts]:
        """What a class of the user's holds: values, methods, descriptors."""
        if in_library(str(cls.__module__)):
            return cls.__qualname__, []
        held = Place("the class attribute", cls.__qualname__)
        parts = [(held.at(f".{name}"), value) for name, value in vars(cls).items() if _is_held(name, value)]
        return cls.__qualname__, [*parts, *((Place("the class", b.__qualname__), b) for b in cls.__bases__)]

    def function_parts(self, place: Place, function: types.FunctionType) -> tuple[Any, Parts]:
        """What a function encloses, its defaults, its attributes, and the globals that it names."""
        code = function.__code__
        self._remember(code)
        enclosed = Place("the enclosed variable", "")
        parts: list[tuple[Place, Any]] = []
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            parts.append((enclosed.at(f"{name}"), _content(cell)))
        default = Place(f"the default argument of {function.__name__}:", "")
        names = code.co_varnames[: code.co_argcount][-len(function.__defaults__ or ()) :]
        parts += [(default.at(name), value) for name, value in zip(names, function.__defaults__ or (), strict=False)]
        parts += [(default.at(name), value) for name, value in (function.__kwdefaults__ or {}).items()]
        token = (code.co_filename, code.co_firstlineno, code.co_qualname)
        # Two places of one name are two variables.
        parts = [(p if (p not in self.found.values) else p.at(f" of {code.co_qualname}"), v) for p, v in parts]
        return token, itertools.chain(parts, self.globals_named(code, function.__globals__))

    def globals_named(self, code: types.CodeType, held: Mapping[str, Any]) -> Parts:
        """The globals that a user's code names, and of the modules among them what it may mean."""
        if not is_users(code):
            return
        self._remember(code)
        names = names_in(code)
        key = id(held)
        for name in names:
            if name not in held or (key, name) in self._named:
                continue
            self._named.add((key, name))
            value = held[name]
            if isinstance(value, types.ModuleType):
                if not in_library(value.__name__):
                    yield from self._of_module(value, names)
            else:
                yield Place("the global", name), value
        if (key, "") not in self._named:
            # Plain values may be reached by other ways than by name, such as globals()["count"].
            self._named.add((key, ""))
            for name, value in list(held.items()):
                if (key, name) not in self._named and not name.startswith("__") and atom(value) is not None:
                    yield Place("the global", f"{name} in {held.get('__name__')}"), value

    def _of_module(self, module: types.ModuleType, names: Iterable[str]) -> Parts:
        held = vars(module)
        for name in names:
            if name in held and (id(held), name) not in self._named and not isinstance(held[name], types.ModuleType):
                self._named.add((id(held), name))
                yield Place("the global", f"{module.__name__}.{name}"), held[name]

    def _remember(self, code: types.CodeType) -> None:
        if is_users(code):
            self.found.codes[code] = None


def _is_held(name: str, value: Any) -> bool:
    """Whether a class's attribute may be state or code of the user's, and not Python's bookkeeping."""
    if name.startswith("_abc_") or isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
        return False
    return not _standard(name) or isinstance(value, types.FunctionType)


def _derived(module: nn.Module) -> set[str]:
    """Attributes that torch itself computes anew from parameters: weights under old-style hooks, an RNN's list."""
    names = {"_flat_weights", "_flat_weight_refs"} if isinstance(module, nn.RNNBase) else set()
    for hook in module._forward_pre_hooks.values():
        name = getattr(hook, "name", None)
        if type(hook).__module__.startswith("torch.nn.utils.") and isinstance(name, str):
            names.add(name)
    return names


def _slots(cls: type) -> list[str]:
    found: list[str] = []
    for each in cls.__mro__:
        slots = each.__dict__.get("__slots__", ())
        names = [name for name in ((slots,) if isinstance(slots, str) else slots) if not _standard(name)]
        found += [f"_{each.__name__.lstrip('_')}{name}" if name.startswith("__") else name for name in names]
    return found


def _reduced(value: Any) -> list[Any] | None:
    """What an object would be pickled by, or else shown as; None where it says neither."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # iterators, which go on being readable for a while
            reduced = value.__reduce_ex__(2)
    except Exception:
        shown = repr(value)
        return None if " at 0x" in shown else [shown]
    if isinstance(reduced, str):
        return [reduced]
    # What comes fourth and fifth are iterators over items, made for this call.
    return [*reduced[1:3], *(list(items) for items in reduced[3:5] if items is not None)]


def _standard(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return UNREAD


def _sequence(walk: _Walk, place: Place, value: Iterable[Any]) -> tuple[Any, Parts]:
    items = list(value)
    plain = [atom(item) for item in items] if len(items) >= _LONG else []
    if plain and all(each is not None for each in plain):
        return (len(items), hash(tuple(plain))), []
    return len(items), [(place.at(f"[{i}]"), item) for i, item in enumerate(items)]


def _mapping(walk: _Walk, place: Place, value: Mapping[Any, Any]) -> tuple[Any, Parts]:
    pairs = list(value.items())
    plain = [(atom(k), atom(v)) for k, v in pairs] if len(pairs) >= _LONG else []
    if plain and all(k is not None and v is not None for k, v in plain):
        return (len(pairs), hash(tuple(plain))), []
    parts: list[tuple[Place, Any]] = []
    for i, (key, each) in enumerate(pairs):
        if atom(key) is None:
            parts.append((place.at(f"[key {i} itself]"), key))
        parts.append((place.at(f"[{key!r}]" if atom(key) is not None else f"[key {i}]"), each))
    if isinstance(value, collections.defaultdict):
        parts.append((place.at(".default_factory"), value.default_factory))
    # The order is state too: what was used last may be moved to the end.
    return tuple(atom(key) for key, _ in pairs), parts


def _set(walk: _Walk, place: Place, value: Iterable[Any]) -> tuple[Any, Parts]:
    items = list(value)
    rest = [item for item in items if atom(item) is None]
    plain = frozenset(atom(item) for item in items if atom(item) is not None)
    return (len(items), plain), [(place.at(f"[member {i}]"), item) for i, item in enumerate(rest)]


def _array(walk: _Walk, place: Place, value: Any) -> tuple[Any, Parts]:
    if value.dtype.hasobject:
        return value.shape, [(place.at("[items]"), value.tolist())]
    return (value.shape, str(value.dtype), digest(value)), []


def _numpy_generator(walk: _Walk, place: Place, value: Any) -> tuple[Any, Parts]:
    state = value.bit_generator.state if isinstance(value, np.random.Generator) else _state_of(value)
    return "generator", [(place.at("[state]"), state)]


def _state_of(value: Any) -> Any:
    return value.get_state(legacy=False) if isinstance(value, np.random.RandomState) else value.state


def _random(walk: _Walk, place: Place, value: random.Random) -> tuple[Any, Parts]:
    if isinstance(value, random.SystemRandom):
        return "the operating system's", []
    return hash(value.getstate()), []


def _function(walk: _Walk, place: Place, value: types.FunctionType) -> tuple[Any, Parts]:
    return walk.function_parts(place, value)


def _running(walk: _Walk, place: Place, value: Running) -> tuple[Any, Parts]:
    return value.code.co_qualname, walk.globals_named(value.code, value.globals)


def _class(walk: _Walk, place: Place, value: type) -> tuple[Any, Parts]:
    return walk.class_parts(place, value)


def _method(walk: _Walk, place: Place, value: types.MethodType) -> tuple[Any, Parts]:
    return "method", [(place.at("[function]"), value.__func__), (place.at("[self]"), value.__self__)]


def _builtin(walk: _Walk, place: Place, value: Any) -> tuple[Any, Parts]:
    owner = getattr(value, "__self__", None)
    bound = owner is not None and not isinstance(owner, types.ModuleType)
    return value.__name__, [(place.at("[self]"), owner)] if bound else []


def _parts_of(*names: str) -> Callable[[_Walk, Place, Any], tuple[Any, Parts]]:
    def read(walk: _Walk, place: Place, value: Any) -> tuple[Any, Parts]:
        return "parts", [(place.at(f".{name}"), getattr(value, name)) for name in names]

    return read


def _cached(walk: _Walk, place: Place, value: Any) -> tuple[Any, Parts]:
    info = value.cache_info()
    return (info.misses, info.currsize), [(place.at(".__wrapped__"), value.__wrapped__)]


def _generator(walk: _Walk, place: Place, value: types.GeneratorType[Any, Any, Any]) -> tuple[Any, Parts]:
    frame = value.gi_frame
    if frame is None:
        return "ended", []
    walk._remember(frame.f_code)
    return frame.f_lasti, [(place.at(f".{name}"), each) for name, each in dict(frame.f_locals).items()]


def _file(walk: _Walk, place: Place, value: io.IOBase) -> tuple[Any, Parts]:
    return (value.closed, None if value.closed or not value.seekable() else value.tell()), []


def _module(walk: _Walk, place: Place, value: types.ModuleType) -> tuple[Any, Parts]:
    if in_library(value.__name__):
        return value.__name__, []
    plain = {name: each for name, each in vars(value).items() if not name.startswith("__") and atom(each) is not None}
    return value.__name__, [(Place("the global", f"{value.__name__}.{name}"), each) for name, each in plain.items()]


def _weak(walk: _Walk, place: Place, value: Any) -> tuple[Any, Parts]:
    return "reference", [(place.at("()"), value())]


_Reader = Callable[[_Walk, Place, Any], tuple[Any, Parts]]
_READERS: list[tuple[Any, _Reader]] = [
    (types.FunctionType, _function),
    (Running, _running),
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
