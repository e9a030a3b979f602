"""Brings the generated part of each page in docs/ up to date: `make docs`.

A page is prose by hand, and between two markers what the classes and the command line say of themselves. `--check`
changes nothing and exits with 1 where a page is not what would be written. Neither torch nor a config is needed.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any

import typer
from pydantic import BaseModel, TypeAdapter

import lrtool
from lrtool import units
from lrtool.analysis.pruning import PRUNERS, Pruner
from lrtool.analysis.suggest import METHODS
from lrtool.api.check import CheckAnswer
from lrtool.api.init import NewConfig
from lrtool.api.report import ReportAnswer
from lrtool.api.results.compare import CompareAnswer, SweepAnswer
from lrtool.api.results.range_test import RangeTestAnswer
from lrtool.api.results.theory import TheoryAnswer
from lrtool.api.results.train import TrainAnswer
from lrtool.api.results.transfer import TransferAnswer
from lrtool.api.results.tune import TuneAnswer
from lrtool.api.schedule import ScheduleView
from lrtool.cli.app import app
from lrtool.config.schema import Config
from lrtool.config.settings import ClusterSettings, InitSettings, RangeTestSettings, TrainSettings
from lrtool.config.sweep.schema import Range, SweepConfig, Tune
from lrtool.errors import UsageError
from lrtool.integrations.export import ExportedSchedule
from lrtool.loggers import LOGGERS
from lrtool.optimizers import KINDS as OPTIMIZERS
from lrtool.optimizers import ParamGroup
from lrtool.registry import Registry
from lrtool.report.schedules import reference
from lrtool.report.schedules.preview import Preview
from lrtool.runs.atomic import write_text
from lrtool.runs.listing import ListedRun
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.schedules.base import Schedule
from lrtool.schedules.plateau import Plateau
from lrtool.tasks import datasets, losses, metrics, models

BEGIN, END = "<!-- generated:begin (make docs) -->", "<!-- generated:end -->"

#: Sections whose value is one of several kinds.
REGISTRIES: Mapping[str, Registry[Any]] = {
    "model": models.KINDS,
    "data": datasets.KINDS,
    "loss": losses.KINDS,
    "metrics": metrics.KINDS,
    "optimizer": OPTIMIZERS,
    "range_test.suggest": METHODS,
    "logging": LOGGERS,
}
#: Sections of plain settings, by the heading that they get.
SETTINGS: Mapping[str, type[BaseModel]] = {
    "init": InitSettings,
    "train": TrainSettings,
    "range_test": RangeTestSettings,
    "plateau": Plateau,
    "cluster": ClusterSettings,
    "optimizer.groups": ParamGroup,
}
SWEEP_SETTINGS: Mapping[str, type[BaseModel]] = {"Ranges": Range, "tune": Tune}

#: What a key takes where its JSON schema says it in too many words, or not all of it.
_WORDS = {
    **{name.rpartition(".")[2]: f"a [kind](#{name.replace('.', '')})" for name in REGISTRIES},
    "metrics": "list of [kinds](#metrics)",
    "logging": "list of [kinds](#logging)",
    "schedule": "a [schedule](schedules.md)",
    "schedules": "mapping of names to [schedules](schedules.md)",
    "segments": "list of schedules",
    "base": "file, or mapping",
    "prune": "a [kind](#prune)",
    "variants": "mapping of names to mappings of keys to values",
    "grid": "mapping of keys to lists or [ranges](#ranges)",
    "random": "mapping of keys to lists or [ranges](#ranges)",
    "where": "mapping of keys to mappings of other keys to lists",
}
#: Where a key that has a section of its own is described.
_SECTIONS = {
    **{cls.__name__: f"[{title}](#{title.replace('.', '')})" for title, cls in SETTINGS.items()},
    **{cls.__name__: f"[{title}](#{title.lower()})" for title, cls in SWEEP_SETTINGS.items()},
}
_QUANTITIES = [(TypeAdapter(cls).json_schema(), cls.__name__.lower()) for cls in (units.Duration, units.Level)]
_TYPES = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "object": "mapping",
}  # fmt: skip
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def rows(head: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """A Markdown table; line breaks and bars in its cells are taken care of."""
    lines = [head, ["---"] * len(head), *cells]
    return "".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |\n" for row in lines
    )


def prose(text: str) -> str:
    """A docstring as Markdown: examples left out, what stands after a `\\b` line kept as it is."""
    parts = [part for part in inspect.cleandoc(text).split("\n\n") if not part.startswith(">>>")]
    return "\n\n".join(f"```text\n{part[2:]}\n```" if part.startswith("\b\n") else part for part in parts) + "\n"


# ---- config.md ----------------------------------------------------------------------------------------------------


def config() -> str:
    """The keys of a config and of a sweep."""
    parts = ["## A config\n", fields(Config)]
    for title, registry in REGISTRIES.items():
        parts += _registered(title, registry)
    parts += _sections(SETTINGS)
    parts += ["## A sweep\n", prose(SweepConfig.__doc__ or ""), fields(SweepConfig), *_sections(SWEEP_SETTINGS)]
    parts += _registered("prune", PRUNERS, prose(Pruner.__doc__ or ""))
    return "\n".join(part for part in parts if part)


def fields(cls: type[BaseModel], leave_out: Iterable[str] = ()) -> str:
    """The keys of a section: what they take, what they are when unsaid, what they mean."""
    schema = cls.model_json_schema()["properties"]
    left_out = {*leave_out, *(name for name in schema if "const" in schema[name] and name == "kind")}
    cells = [
        (f"`{name}`", _WORDS.get(name) or _type(schema[name]), _unsaid(cls, name), info.description or "")
        for name, info in cls.model_fields.items()
        if name not in left_out
    ]
    return rows(("key", "takes", "unsaid", "means"), cells) if cells else ""


def _sections(settings: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    for title, cls in settings.items():
        yield from (f"### {title}\n", prose(cls.__doc__ or ""), fields(cls))


def _registered(title: str, registry: Registry[Any], said: str = "") -> Iterator[str]:
    yield from (f"### {title}\n", said, _shared(registry.base), *_kinds(registry.kinds, registry.base))


def _shared(base: type[BaseModel]) -> str:
    table = fields(base, ("kind",))
    return f"Every kind has:\n\n{table}" if table else ""


def _kinds(kinds: Mapping[str, type[BaseModel]], base: type[BaseModel]) -> Iterator[str]:
    for kind, cls in kinds.items():
        yield from (f"#### `{kind}`\n", prose(cls.__doc__ or ""), fields(cls, base.model_fields))


def _unsaid(cls: type[BaseModel], name: str) -> str:
    info = cls.model_fields[name]
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return f"`{value.kind}`" if hasattr(value, "kind") else "its defaults"
    return "" if value is None or value in ((), {}, "") else f"`{reference.plain(value)}`"


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    for quantity, word in _QUANTITIES:
        if quantity["anyOf"] == schema.get("anyOf"):
            return word
    match schema:
        case {"$ref": ref}:
            return _SECTIONS[ref.rpartition("/")[2]]
        case {"anyOf": options}:
            return " or ".join(_type(each) for each in options if each != {"type": "null"})
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array", "prefixItems": items}:
            return f"[{', '.join(map(_type, items))}]"
        case {"type": "array", "items": items} if items:
            return f"list of {_type(items).replace('number', 'numbers', 1)}"
        case {"type": "array"}:
            return "list"
        case {"type": kind}:
            bounds = " and ".join(f"{sign} {schema[key]:,}" for key, sign in _BOUNDS.items() if key in schema)
            return f"{_TYPES[kind]} {bounds}".strip()
    return "any value"


# ---- schedules.md -------------------------------------------------------------------------------------------------


def schedules() -> str:
    """Every kind of schedule: an overview, then each with its fields."""
    parts = ["## Overview\n", reference.table(), "## Fields of every kind\n", fields(Schedule)]
    for kind in SCHEDULES.kinds:
        parts += [f"## `{kind}`\n", *_schedule(kind)]
    return "\n".join(part for part in parts if part)


def _schedule(kind: str) -> Iterator[str]:
    each = reference.entry(kind)
    yield f"{each.summary}\n"
    yield f"```text\n{each.formula}\n```\n"
    yield f"{each.details}\n" if each.details else ""
    yield fields(SCHEDULES[kind], Schedule.model_fields)
    yield f"Helps: {each.helps}\n\nHurts: {each.hurts}\n\nSource: {each.source}\n"
    if each.elsewhere:
        yield "The same elsewhere, for T updates of which W are warm-up, and a peak of lr:\n"
        cells = [(each.library, f"`{each.ours}`", f"`{_line(each.theirs)}`", each.note) for each in each.elsewhere]
        yield rows(("library", "here", "there", "note"), cells)


def _line(code: str) -> str:
    return " ".join(code.split())


# ---- commands.md --------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    parts = ["## Options of `lrtool` itself\n", _parameters(root)]
    for path, command in walk(root):
        if not hasattr(command, "commands"):
            arguments = [_argument(each) for each in command.params if each.param_type_name == "argument"]
            usage = " ".join([*path, "[OPTIONS]", *arguments])
            parts += [f"## `{' '.join(path)}`\n", prose(command.help), f"```text\n{usage}\n```\n", _parameters(command)]
    return "\n".join(parts)


def walk(command: Any, path: tuple[str, ...] = ("lrtool",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below one, groups included, as its words and typer's object."""
    for name, each in getattr(command, "commands", {}).items():
        yield (*path, name), each
        yield from walk(each, (*path, name))


def _parameters(command: Any) -> str:
    cells = [(f"`{_named(each)}`", each.help or "", _default(each)) for each in command.params if not each.hidden]
    return rows(("argument or option", "means", "unsaid"), cells)


def _argument(parameter: Any) -> str:
    return str(parameter.metavar) if parameter.required else f"[{parameter.metavar}]"


def _named(parameter: Any) -> str:
    """As a user writes it: `-o, --output OUTPUT`, the way argparse names a value that has no name."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    names = sorted(parameter.opts, key=len)
    value = parameter.metavar or names[-1].strip("-").replace("-", "_").upper()
    return ", ".join(names) + ("" if parameter.is_flag else f" {value}")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return str(parameter.show_default)
    plain = parameter.default is None or parameter.default is False
    return "" if plain or not parameter.show_default else f"`{parameter.default}`"


# ---- api.md -------------------------------------------------------------------------------------------------------


def api() -> str:
    """Every function of the Python API and what it gives back, from their docstrings, examples included."""
    parts = []
    for name in lrtool.__all__:
        function = getattr(lrtool, name)
        parts += [f"## `lrtool.{name}`\n", f"```text\n{_signature(name, function)}\n```\n", _told(function)]
    parts.append("## Results\n")
    answers = (RangeTestAnswer, TuneAnswer, TransferAnswer, TrainAnswer, CompareAnswer, SweepAnswer, ScheduleView)
    looked = (Preview, reference.Entry, ExportedSchedule, ListedRun, CheckAnswer, NewConfig)
    for cls in (*answers, TheoryAnswer, ReportAnswer, *looked):
        members = list(_members(cls))
        parts += [f"### `{cls.__name__}`\n", _told(cls), rows(("has", "which is"), members) if members else ""]
    return "\n".join(parts)


def _signature(name: str, function: Callable[..., Any]) -> str:
    """A function as it is called: a parameter a line, without types."""
    said = []
    for each in inspect.signature(function).parameters.values():
        star = "**" if each.kind is each.VAR_KEYWORD else "*" if each.kind is each.VAR_POSITIONAL else ""
        if each.kind is each.KEYWORD_ONLY and "*" not in said:
            said.append("*")
        default = "" if each.default is each.empty else f"={each.default!r}"
        said.append(f"{star}{each.name}{default}")
    return textwrap.fill(f"lrtool.{name}({', '.join(said)})", 100, subsequent_indent=" " * (len(name) + 8))


def _told(owner: Any) -> str:
    """A docstring as Markdown: parameters as a list, examples as code."""
    parts = []
    for part in inspect.cleandoc(owner.__doc__ or "").split("\n\n"):
        if part.startswith(">>>"):
            parts.append(f"```pycon\n{part}\n```")
        elif re.match(r"[a-z_, ]+: ", part):
            items = re.split(r"\n(?=[a-z_, ]+: )", part)
            parts.append("\n".join(f"- {_item(item)}" for item in items))
        else:
            parts.append(part)
    return "\n\n".join(parts) + "\n"


def _item(text: str) -> str:
    name, _, means = " ".join(text.split()).partition(": ")
    return f"**{name}**: {means}"


def _members(cls: type) -> Iterator[tuple[str, str]]:
    """Public properties and methods, with what their docstrings begin with."""
    for name in sorted(each for each in dir(cls) if not each.startswith("_")):
        member = inspect.getattr_static(cls, name)
        if not isinstance(member, property | cached_property | FunctionType):
            continue
        if isinstance(member, FunctionType):
            name += f"({', '.join(each for each in inspect.signature(member).parameters if each != 'self')})"
        yield f"`.{name}`", (inspect.getdoc(member) or "").partition("\n")[0]


# ---- the pages ----------------------------------------------------------------------------------------------------

PAGES: Mapping[str, Callable[[], str]] = {
    "api.md": api,
    "commands.md": commands,
    "config.md": config,
    "schedules.md": schedules,
}


def updated(text: str, block: str) -> str:
    """A page with a block between its markers; UsageError where it has no markers."""
    begin, end = text.find(BEGIN), text.find(END)
    if not 0 <= begin < end:
        raise UsageError("the markers of the generated part are missing", remedy=f"add the lines {BEGIN} and {END}")
    return f"{text[:begin]}{BEGIN}\n\n{block}\n{text[end:]}"


def main(arguments: Sequence[str], folder: Path = Path(__file__).parent) -> int:
    """Write the pages, or with `--check` say which of them are out of date; gives the exit code."""
    stale = 0
    for name, block in PAGES.items():
        page = folder / name
        text = page.read_text(encoding="utf-8")
        new = updated(text, block())
        if "--check" not in arguments:
            write_text(page, new)
        elif new != text:
            stale = 1
            sys.stderr.write(f"{name} is out of date; run: make docs\n")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
