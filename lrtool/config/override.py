"""`--set KEY=VALUE`: one value of a document, replaced from the command line."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

from lrtool.config.document import Document, Path_, Place, parse_value
from lrtool.config.fields import classes_at, registry_of
from lrtool.config.messages import dotted, shown
from lrtool.config.problems import ConfigError
from lrtool.loggers.addresses import is_address
from lrtool.loggers.names import shows_secret
from lrtool.reading import at_home

#: Digits of a place in a list: more of them are a name.
_DIGITS = 9


def override(document: Document, text: str, folder: Path) -> None:
    """Apply one `KEY=VALUE`; raises ConfigError where the key leads nowhere or the value is not YAML."""
    key, equals, written = text.partition("=")
    # What was written is shown where it is wrong; a password is not.
    source = f"--set {key}=…" if shows_secret(text) else f"--set {text}"
    path = key_path(key)
    if not equals or "" in path:
        raise ConfigError.one(source, "", "an override is KEY=VALUE", "write for example --set optimizer.lr=0.05")
    if path[0] == "extends":
        raise ConfigError.one(source, "extends", "a base cannot be set from outside", "write extends: in the config")
    value = located(path, parse_value(written, source), folder)
    # Done on a copy: what is refused half-way leaves no trace.
    changed = Document(copy.deepcopy(document.data), dict(document.places))
    assign(changed.data, path, value, source)
    for depth in range(1, len(path)):
        changed.places.setdefault(path[:depth], Place(source))
    changed.forget(path)
    changed.places[path] = Place(source)
    document.data, document.places = changed.data, changed.places


def key_path(key: str) -> Path_:
    """The path of a dotted key; whole numbers in it are places in a list."""
    return tuple(int(part) if part.isdecimal() and len(part) <= _DIGITS else part for part in key.strip().split("."))


def assign(data: Any, path: Path_, value: Any, source: str) -> None:
    """Put a value into the data of a document; `source` is where it was given.

    Where a short form (`schedule: cosine`) or nothing stands on the way, a mapping is made of it. Raises ConfigError
    where the path leads nowhere.
    """
    target = data
    for depth, part in enumerate(path[:-1]):
        target = _entered(target, part, path[:depth], source)
    _put(target, value, path, source, data)


def located(path: Path_, value: Any, folder: Path) -> Any:
    """A copy of the value that is to stand at a path, in which paths of files start from the folder."""
    holder = {path[-1]: copy.deepcopy(value)}
    absolute(holder, folder)
    return holder[path[-1]]


def absolute(data: Any, folder: Path) -> None:
    """Paths of files start from the folder of the config that names them; those in `args` are the user's own."""
    if isinstance(data, list):
        for item in data:
            absolute(item, folder)
    elif isinstance(data, dict):
        for key, value in data.items():
            if key == "args":
                continue
            if isinstance(value, str) and (key in ("path", "file") or (key == "uri" and not is_address(value))):
                data[key] = str(folder / at_home(value))
            elif key == "use" and isinstance(value, str) and re.search(r"\.py:[^/\\]*$", value):
                code, _, name = value.rpartition(":")
                data[key] = f"{folder / at_home(code)}:{name}"
            else:
                absolute(value, folder)


def _entered(target: Any, part: str | int, above: Path_, source: str) -> Any:
    """The mapping or list below a key, made where a short form or nothing stands."""
    below = target[_index(target, part, above, source)] if _numbered(target, part) else target.get(part)
    if below is None:
        below = {}
    elif isinstance(below, str):
        below = {"kind": below}
    elif not isinstance(below, dict | list):
        what = f"this is {shown(below)}, not a mapping"
        raise ConfigError.one(source, dotted((*above, part)), what, "set it as a whole")
    target[part] = below
    return below


def _put(target: Any, value: Any, path: Path_, source: str, data: Any) -> None:
    part = path[-1]
    if _numbered(target, part):
        target[_index(target, part, path[:-1], source)] = value
        return
    said = {name: target[name] for name in ("kind", "use") if name in target}
    if part in ("kind", "use") and said and said != {part: value}:
        # Another kind has other fields; those it shares (data.batch_size, optimizer.lr) stay.
        registry = registry_of(classes_at(path[:-1], data)[1])
        cls = registry.kinds.get(str(value) if part == "kind" else "use") if registry is not None else None
        for name in [name for name in target if name in said or cls is None or name not in cls.model_fields]:
            del target[name]
    target[part] = value


def _numbered(target: Any, part: str | int) -> bool:
    return isinstance(target, list) or isinstance(part, int)


def _index(items: Any, part: str | int, above: Path_, source: str) -> int:
    if not isinstance(items, list):
        what = "no list is written here whose items have numbers"
        raise ConfigError.one(source, dotted(above), what, "set it as a whole, as [a, b]")
    if isinstance(part, int) and part < len(items):
        return part
    raise ConfigError.one(source, dotted(above), f"this is a list of {len(items)}", "number its items from 0")
