"""A commented config to start from, its comments taken from the fields' descriptions."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from lrtool import optimizers, schedules
from lrtool.config.document import write_yaml
from lrtool.config.schema import Config
from lrtool.config.settings import RangeTestSettings, TrainSettings
from lrtool.config.writing.data_file import DataFile
from lrtool.errors import UsageError
from lrtool.printable import brief, printable
from lrtool.registry import Registry
from lrtool.tasks import datasets, models
from lrtool.tasks.base import BuildContext
from lrtool.tasks.permission import allows
from lrtool.tasks.targets import from_folder, is_path, module_file

#: Fields of every kind that few people set: left out of the template, listed by `lrtool schema`.
_LEFT_OUT = frozenset({"split_seed", "groups", "layer_decay", "schedule.duration", "warmup_start", "warmup_shape"})
_COLUMN = 38
#: Names that a comment lists at most.
_MOST = 20


def template(name: str, model: str, data: str | DataFile, optimizer: str, schedule: str) -> tuple[str, list[str]]:
    """The text of a config, and the keys that only the user can fill in (they stand as `…` in it).

    `model`, `data` and `optimizer` are kinds, or targets such as `my_model.py:Net`; `data` may be a file. Raises
    UsageError for an unknown kind.
    """
    lines = [
        "# Which learning rate, which schedule?  `lrtool check` validates this file, `lrtool range-test` and",
        "# `lrtool train` run it. Durations: 500 (updates), 5ep (epochs), 10% (of the run), 1M samples.",
        _line("name", name, "names the folder below outputs/"),
        _line("seed", 0, Config.model_fields["seed"].description),
        _line("device", "auto", Config.model_fields["device"].description),
    ]
    missing: list[str] = []
    for section, registry, kind in (
        ("model", models.KINDS, model),
        ("data", datasets.KINDS, data),
        ("optimizer", optimizers.KINDS, optimizer),
        ("schedule", schedules.KINDS, schedule),
    ):
        lines += ["", f"{section}:", *_section(section, registry, kind, missing)]
    lines += ["", "train:", *_fields(TrainSettings(), {}, "train", [])]
    lines += ["", "range_test:", *_fields(RangeTestSettings(), {}, "range_test", [])]
    return "\n".join(lines) + "\n", missing


def own_code(target: str, folder: Path, allow_import: Collection[str], section: str) -> str:
    """A kind as it is; a target of one's own, named from where the user is, as a config in `folder` has to name it.

    Raises UsageError where a config there may not run it unasked, or a file is named without what it defines.
    """
    if target.endswith(".py"):
        raise _nameless(target, section)
    code, _, name = target.rpartition(":")
    if not (code and name):
        return target
    context = BuildContext(folder.resolve(), frozenset(allow_import))
    if not is_path(code):
        file = None if allows(target, context) else module_file(code, folder)
        return target if file is None else _runnable(f"{file}:{name}", context, section)
    if (Path.cwd() / code).is_file():
        target = f"{from_folder(Path.cwd() / code, folder)}:{name}"
    return _runnable(target, context, section)


def _runnable(target: str, context: BuildContext, section: str) -> str:
    if allows(target, context):
        return target
    path = (context.folder / target.rpartition(":")[0]).resolve()
    shared = os.path.commonpath([path.parent, context.folder])
    raise UsageError(
        f"a config in {context.folder} may not run {path} unasked, which stands neither in nor beneath that folder",
        where=f"--{section}",
        remedy=f"write the config into {shared}, or add --allow-import {path.parent} here and wherever it is run",
    )


def _nameless(file: str, section: str) -> UsageError:
    """The error for a file of code where a class or function of it was wanted."""
    made: list[str] = []
    with suppress(OSError, SyntaxError, ValueError):
        body = ast.parse((Path.cwd() / file).read_bytes()).body
        made = [each.name for each in body if isinstance(each, ast.ClassDef | ast.FunctionDef)]
    remedy = f"write for example {file}:{made[0] if made else 'Name'}"
    defines = f"; it defines: {', '.join(made)}" if len(made) > 1 else ""
    what = f"{file}: which of its classes and functions is meant is not said"
    return UsageError(what, where=f"--{section}", remedy=f"{remedy}{defines}")


def _section(section: str, registry: Registry[Any], kind: str | DataFile, missing: list[str]) -> Iterator[str]:
    """A section's lines: its kind, then every field worth knowing with its default and what it means."""
    known: dict[str, Any] = {}
    choices: Mapping[str, Sequence[str]] = {}
    if isinstance(kind, DataFile):
        known, choices, kind = {"path": kind.path}, kind.choices, kind.kind
    if kind == "use" or (":" in kind and not all(kind.rpartition(":"))):
        raise UsageError(f"{kind!r} is not a target", where=section, remedy=f"write for example my_{section}.py:Name")
    if ":" in kind and "use" in registry.kinds:
        yield _line("use", kind, "a class or function in a file beside this config", indent=2)
        yield _line("args", {}, "its keyword arguments", indent=2)
        cls = registry.kinds["use"]
    else:
        cls = registry[kind]
        others = [name for name in registry.kinds if name not in (kind, "use")]
        many = "see: lrtool schedule list" if section == "schedule" else f"or {', '.join(others[:5])}, …"
        yield _line("kind", kind, f"or: {', '.join(others)}" if len(others) < 10 else many, indent=2)
    yield from _fields(cls, {**getattr(cls, "starting", {}), **known}, section, missing, choices)


def _fields(
    of: type[BaseModel] | BaseModel,
    starting: Mapping[str, Any],
    section: str,
    missing: list[str],
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[str]:
    cls = of if isinstance(of, type) else type(of)
    for name, field in cls.model_fields.items():
        if name in ("kind", "use", "args") or _LEFT_OUT & {name, f"{section}.{name}"}:
            continue
        if name in starting:
            yield _line(name, starting[name], field.description, indent=2)
        elif field.is_required() or name in choices:
            missing.append(f"{section}.{name}")
            yield f"{'  ' + name + ': …':{_COLUMN}} # FILL IN: {field.description}{_listed(choices.get(name))}"
        else:
            yield _line(name, _written(field.get_default(call_default_factory=True)), field.description, indent=2)


def _listed(choices: Sequence[str] | None) -> str:
    """What there is to choose from, at the end of a comment."""
    if not choices:
        return ""
    more = f", … {len(choices) - _MOST} more" if len(choices) > _MOST else ""
    return f" There are: {', '.join(printable(brief(each, 40)) for each in choices[:_MOST])}{more}"


def _written(value: Any) -> Any:
    """A default as a user writes it."""
    if hasattr(value, "written"):
        return value.written()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_written(item) for item in value] if isinstance(value, list | tuple) else value


def _line(key: str, value: Any, comment: str | None, indent: int = 0) -> str:
    text = write_yaml(value, flow=True, width=1000).removesuffix("\n...\n").strip()
    return f"{' ' * indent + key + ': ' + text:{_COLUMN}} # {comment or ''}".rstrip(" #")
