"""Classes found by importing every module of a package: nothing is listed by hand, a new file is a new entry."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Generic, TypeVar

from lrtool.errors import UsageError

C = TypeVar("C")


class Scanned(Generic[C]):
    """The classes of one sort by name: every class below `base` in the modules of `package` that has a `name`.

    A class without a name of its own is a base for others. `noun` is what messages call the sort.
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
        # What is written with another dash than ours is the same name.
        alike = {name.lower().replace("-", "_"): name for name in names}
        near = difflib.get_close_matches(kind.lower().replace("-", "_"), alike, n=1)
        hint = f"did you mean {alike[near[0]]!r}?" if near else f"choose one of: {', '.join(names)}"
        return UsageError(f"there is no {self.noun} {kind!r}", where=where, remedy=hint)


def _below(cls: type[C]) -> Iterator[type[C]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _below(sub)
