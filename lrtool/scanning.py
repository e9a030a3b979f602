"""Classes found by importing every module of a package: nothing is listed by hand, a new file is a new entry."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Generic, TypeVar

from lrtool.errors import UsageError, nearest

C = TypeVar("C")


class Scanned(Generic[C]):
    """The classes of one sort by name: every class below `base` in the modules of `package` that has a `name`.

    A class without a name of its own is a base for others. `noun` is what messages call the sort. A class that lacks a
    method of its base fails when the classes are first looked for, not when it is used.
    """

    def __init__(self, base: type[C], package: str, noun: str) -> None:
        self.base, self.package, self.noun = base, package, noun

    @cached_property
    def kinds(self) -> dict[str, type[C]]:
        """Every class by name, in alphabetical order."""
        package = importlib.import_module(self.package)
        for module in pkgutil.walk_packages(package.__path__, f"{self.package}."):
            importlib.import_module(module.name)
        found = {name: cls for cls in _below(self.base) if (name := self.name_of(cls)) is not None}
        for cls in found.values():
            if missing := getattr(cls, "__abstractmethods__", None):
                raise TypeError(f"the {self.noun} {cls.__name__} has no {', '.join(sorted(missing))}")
        return dict(sorted(found.items()))

    def name_of(self, cls: type[C]) -> str | None:
        """The name that a class is found under; None for one that is only a base."""
        return vars(cls).get("name")

    def __getitem__(self, kind: str) -> type[C]:
        """The class of a name; an unknown one is a UsageError with the nearest names."""
        try:
            return self.kinds[kind]
        except KeyError:
            raise self.unknown(kind) from None

    def unknown(self, kind: str, also: Sequence[str] = (), where: str | None = None) -> UsageError:
        """The error for a name that is not there; `also` are names beyond the classes' that may be written."""
        names = [*also, *self.kinds]
        remedy = nearest(kind, names) if names else "there is none yet"
        return UsageError(f"there is no {self.noun} {kind!r}", where=where, remedy=remedy)


def _below(cls: type[C]) -> Iterator[type[C]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _below(sub)
