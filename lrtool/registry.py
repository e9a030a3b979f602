"""Kinds of a config's section: one pydantic class in one file, found by importing every module of its package."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, Discriminator, Tag

from lrtool.scanning import Scanned

T = TypeVar("T", bound=BaseModel)


class Registry(Scanned[T]):
    """The kinds of one thing: every concrete class below `base` in the modules of `package`.

    A class is concrete when its `kind` field has a default. Nothing is listed by hand: a new file in
    the package is a new kind in the config schema, the JSON schema and the command line.
    """

    def name_of(self, cls: type[T]) -> str | None:
        """The default of the field `kind`."""
        field = cls.model_fields.get("kind")
        return field.default if field is not None and isinstance(field.default, str) else None

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
