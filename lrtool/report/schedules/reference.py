"""The schedules' reference, generated from their classes: what `explain` shows and docs/schedules.md has."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from lrtool.report.schedules.parity import MARK, equivalents
from lrtool.schedules import KINDS, Schedule


@dataclass(frozen=True)
class Field:
    """A key of a schedule as a user writes it; `default` is text, `shared` says whether every kind has it."""

    name: str
    default: str
    description: str
    shared: bool


@dataclass(frozen=True)
class Elsewhere:
    """The schedule in another library: `name` there, `ours` in YAML, `theirs` in Python."""

    library: str
    name: str
    ours: str
    theirs: str
    note: str


@dataclass(frozen=True)
class Entry:
    """All that is known about a kind: `formula` and `details` are paragraphs of its docstring."""

    kind: str
    summary: str
    formula: str
    details: str
    source: str
    helps: str
    hurts: str
    fields: tuple[Field, ...]
    elsewhere: tuple[Elsewhere, ...]


def entry(kind: str) -> Entry:
    """The reference of a kind; UsageError with the nearest name for an unknown one."""
    cls = KINDS[kind]
    summary, *rest = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
    told = [part for part in rest if not part.startswith((">>>", "Source:", "factor(d)"))]
    return Entry(
        kind,
        summary,
        formula="\n".join(part for part in rest if part.startswith("factor(d)")),
        details="\n\n".join(told),
        source="".join(part for part in rest if part.startswith("Source:")).removeprefix("Source: ").replace("\n", " "),
        helps=cls.helps,
        hurts=cls.hurts,
        fields=_fields(cls),
        elsewhere=tuple(
            Elsewhere(each.library, each.plain, MARK.sub(r"\1", each.ours), MARK.sub(r"\1", each.theirs), each.note)
            for each in equivalents(kind)
        ),
    )


def table() -> str:
    """Every kind as a row of a Markdown table."""
    head = "| `kind` | what it is | formula, as a part of the peak LR | fields | helps | hurts |\n" + "|---" * 6 + "|\n"
    return head + "".join(_row(entry(kind)) for kind in KINDS.kinds)


def _row(each: Entry) -> str:
    own = ", ".join(f"`{field.name}`" for field in each.fields if not field.shared)
    formula = each.formula.removeprefix("factor(d) = ").replace("\n", " ").replace("  ", " ")
    cells = (f"`{each.kind}`", each.summary, formula, own, each.helps, each.hurts)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _fields(cls: type[Schedule]) -> tuple[Field, ...]:
    """The kind's own fields, then those that every schedule has."""
    fields = [
        Field(name, _default(info), info.description or "", shared=name in Schedule.model_fields)
        for name, info in cls.model_fields.items()
        if name != "kind"
    ]
    return tuple(sorted(fields, key=lambda field: field.shared))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    return plain(info.default)


def plain(value: Any) -> str:
    """A default as YAML would have it."""
    match value:
        case None:
            return "unset"
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{key}: {plain(each)}" for key, each in value.items()) + "}"
        case tuple():
            return "[" + ", ".join(map(plain, value)) + "]"
        case float():
            return f"{value:g}"
    return str(value.written()) if hasattr(value, "written") else str(value)
