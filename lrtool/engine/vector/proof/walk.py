"""The walk through everything that a model and its code hold, which gives its fingerprint."""

from __future__ import annotations

import itertools
import types
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from lrtool.engine.private import MODULE_TABLES, derived_attributes, hooks_of
from lrtool.engine.vector.proof.fingerprint import Fingerprint, Parts, Running, StatePlace
from lrtool.engine.vector.proof.leaves import UNREAD, atom, digest, leaf
from lrtool.engine.vector.proof.readers import READERS
from lrtool.engine.vector.proof.usercode import in_library, is_users, names_in

#: Values that are read at most; a larger world is compared as far as it was read.
_MOST = 50_000


def fingerprint(model: nn.Module, roots: Iterable[tuple[StatePlace, Any]]) -> Fingerprint:
    """Read `roots`, which are places and what stands there; the model's own tensors by form, not by content."""
    own = {id(tensor): name for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers())}
    walk = Walk(own)
    walk.run(list(roots))
    return walk.found


class Walk:
    """Reads values and their parts, depth first, in an order that only depends on what is read."""

    def __init__(self, own: Mapping[int, str]) -> None:
        self.found = Fingerprint()
        self._own = own
        # By identity; the values are kept, so that no identity is given twice.
        self._seen: dict[int, tuple[StatePlace, Any]] = {}
        self._named: set[tuple[int, str]] = set()

    def run(self, waiting: list[tuple[StatePlace, Any]]) -> None:
        """Read these places and everything below them into `found`."""
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

    def _known(self, place: StatePlace, value: Any) -> Any:
        """The value itself where it is plain; where it was read before, where."""
        plain = atom(value)
        if plain is not None:
            return plain
        if id(value) in self._seen:
            return "as", self._seen[id(value)][0]
        self._seen[id(value)] = place, value
        return None

    def _read(self, place: StatePlace, value: Any) -> tuple[Any, Parts]:
        """What a value is by itself, and its parts."""
        kind = type(value).__qualname__
        if isinstance(value, Tensor):
            return self._tensor(place, value)
        if isinstance(value, nn.Module):
            return self._module(place, value)
        if isinstance(value, Running):
            # Not all that stands there: a notebook's globals are a world of their own, and so is what loaded a module.
            return value.code.co_qualname, self.globals_named(value.code, value.globals)
        for types_, reader in READERS:
            if isinstance(value, types_):
                token, parts = reader(self, place, value)
                return (kind, token), itertools.chain(parts, self._attributes(place, value))
        plain = leaf(value)
        if plain is not None:
            return plain, self._attributes(place, value)
        return (kind, "object"), self._object(place, value)

    def _tensor(self, place: StatePlace, tensor: Tensor) -> tuple[Any, Parts]:
        own = self._own.get(id(tensor))
        form = (tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad)
        parts = [(place.at(f"[hooks {i}]"), held) for i, held in enumerate(hooks_of(tensor)) if held]
        parts += self._attributes(place, tensor)
        return (form, own if own is not None else digest(tensor)), parts

    def _module(self, place: StatePlace, module: nn.Module) -> tuple[Any, Parts]:
        derived = derived_attributes(module)
        parts: list[tuple[StatePlace, Any]] = []
        for name, value in vars(module).items():
            if name in MODULE_TABLES:
                parts += [(place.at(f".{key}"), held) for key, held in value.items()]
            elif name.endswith("_hooks") and isinstance(value, dict):
                # Their keys are numbers that go on from model to model.
                parts += [(place.at(f".{name}[{i}]"), hook) for i, hook in enumerate(value.values())]
            elif name not in derived and not (name.startswith("_") and isinstance(value, dict | set) and not value):
                parts.append((place.at(f".{name}"), value))
        return ("module", type(module).__qualname__), itertools.chain(parts, self._class_of(module))

    def _object(self, place: StatePlace, value: Any) -> Parts:
        """The attributes of an object; where it has none, what it would be copied or pickled by."""
        attributes = list(self._attributes(place, value))
        if attributes or hasattr(value, "__dict__") or _slots(type(value)):
            return attributes
        reduced = _reduced(value)
        if reduced is None:
            self.found.unread[place] = type(value).__qualname__
            return []
        return [(place.at(f"[{i}]"), part) for i, part in enumerate(reduced)]

    def _attributes(self, place: StatePlace, value: Any) -> Parts:
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
                yield StatePlace("the class", each.__qualname__), each

    def class_parts(self, place: StatePlace, cls: type) -> tuple[Any, Parts]:
        """What a class of the user's holds: values, methods, descriptors."""
        if in_library(str(cls.__module__)):
            return cls.__qualname__, []
        held = StatePlace("the class attribute", cls.__qualname__)
        parts = [(held.at(f".{name}"), value) for name, value in vars(cls).items() if _is_held(name, value)]
        return cls.__qualname__, [*parts, *((StatePlace("the class", b.__qualname__), b) for b in cls.__bases__)]

    def function_parts(self, place: StatePlace, function: types.FunctionType) -> tuple[Any, Parts]:
        """What a function encloses, its defaults, its attributes, and the globals that it names."""
        code = function.__code__
        self.remember(code)
        enclosed = StatePlace("the enclosed variable", "")
        parts: list[tuple[StatePlace, Any]] = []
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            parts.append((enclosed.at(f"{name}"), _content(cell)))
        default = StatePlace(f"the default argument of {function.__name__}:", "")
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
        self.remember(code)
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
                yield StatePlace("the global", name), value
        if (key, "") not in self._named:
            # Plain values may be reached by other ways than by name, such as globals()["count"].
            self._named.add((key, ""))
            for name, value in list(held.items()):
                if (key, name) not in self._named and not name.startswith("__") and atom(value) is not None:
                    yield StatePlace("the global", f"{name} in {held.get('__name__')}"), value

    def _of_module(self, module: types.ModuleType, names: Iterable[str]) -> Parts:
        held = vars(module)
        for name in names:
            if name in held and (id(held), name) not in self._named and not isinstance(held[name], types.ModuleType):
                self._named.add((id(held), name))
                yield StatePlace("the global", f"{module.__name__}.{name}"), held[name]

    def remember(self, code: types.CodeType) -> None:
        """Note code of the user's that was met."""
        if is_users(code):
            self.found.codes[code] = None


def _is_held(name: str, value: Any) -> bool:
    """Whether a class's attribute may be state or code of the user's, and not Python's bookkeeping."""
    if name.startswith("_abc_") or isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
        return False
    return not _standard(name) or isinstance(value, types.FunctionType)


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
