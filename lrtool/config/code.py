"""What code of the user's own a config, or a sweep, asks to run, and with which arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lrtool.config.settings import InFolder, digest


def code_of(config: InFolder) -> dict[str, Any]:
    """Every `use` and all `args` by their dotted keys, also where a sweep varies them; empty where no own code runs.

    Runs that agree in this run the same code in the same way, whatever else they do.
    """
    found = dict(_code(config.model_dump(mode="json"), ()))
    return found if any(_is_use(key) for key in found) else {}


def targets_of(code: Mapping[str, Any]) -> dict[str, str]:
    """The targets in what `code_of` gives, each with the (first) key that names it."""
    named = [(target, key) for key, value in code.items() if _is_use(key) for target in _texts(value)]
    return dict(reversed(named))


def code_digest(code: Mapping[str, Any]) -> str:
    """The same for the same code and arguments."""
    return digest(code, length=64)


def _code(data: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if path and (path[-1] == "use" or "args" in path):
        yield ".".join(path), data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            # What varies is named by dotted keys.
            yield from _code(value, (*path, *str(key).split(".")))
    elif isinstance(data, list):
        for number, item in enumerate(data):
            yield from _code(item, (*path, str(number)))


def _is_use(key: str) -> bool:
    path = key.split(".")
    return path[-1] == "use" and "args" not in path


def _texts(value: Any) -> Iterator[str]:
    """A target, or those that a sweep takes turns with."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
