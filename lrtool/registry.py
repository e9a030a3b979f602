"""Kinds: one class in one file, found by importing every module of its package."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, Discriminator, Tag

from lrtool.errors import UsageError

T = TypeVar("T", bound=BaseModel)


class Registry(Generic[T]):
    """The kinds of one thing: every concrete class below `base` in the modules of `package`.

    A class is concrete when its `kind` field has a default. Nothing is listed by hand: a new file in
    the package is a new kind in the config schema, the JSON schema and the command line.
    """

    def __init__(self, base: type[T], package: str, noun: str) -> None:
        self.base, self.package, self.noun = base, package, noun

    @cached_property
    def kinds(self) -> dict[str, type[T]]:
        """Every kind by name, in alphabetical order."""
        package = importlib.import_module(self.package)
        for module in pkgutil.walk_packages(package.__path__, f"{self.package}."):
            importlib.import_module(module.name)
        found = {cls.model_fields["kind"].default: cls for cls in _concrete(self.base)}
        return dict(sorted(found.items()))

    def __getitem__(self, kind: str) -> type[T]:
        """The class of a kind; an unknown one is a UsageError with the nearest names."""
        try:
            return self.kinds[kind]
        except KeyError:
            near = difflib.get_close_matches(kind.lower().replace("-", "_"), self.kinds, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(self.kinds)}"
            raise UsageError(f"there is no {self.noun} {kind!r}", remedy=hint) from None

    def annotation(self) -> Any:
        """The type of a config field that takes any of the kinds.

        A bare name is short for `{kind: name}`, and `{use: target}` for the kind `use` where there is one.
        """
        tagged: Any = tuple(Annotated[cls, Tag(kind)] for kind, cls in self.kinds.items())
        union: Any = Annotated[Union.__getitem__(tagged), Discriminator(_kind_of)]
        bare: Any = tuple(kind for kind, cls in self.kinds.items() if not _needs_fields(cls))
        # What may be written is more than what it becomes: the JSON schema shows the short forms too.
        written = Literal.__getitem__(bare) | union if bare else union
        return Annotated[union, BeforeValidator(_expand, json_schema_input_type=written)]


def _concrete(cls: type[T]) -> Iterator[type[T]]:
    for sub in cls.__subclasses__():
        field = sub.model_fields.get("kind")
        if field is not None and isinstance(field.default, str):
            yield sub
        yield from _concrete(sub)


def _needs_fields(cls: type[BaseModel]) -> bool:
    return any(field.is_required() for field in cls.model_fields.values())


def _expand(value: object) -> object:
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and "use" in value and "kind" not in value:
        return {"kind": "use", **value}
    return value


def _kind_of(value: object) -> object:
    return value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
