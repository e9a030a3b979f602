"""Other values in the text of a config, with everything else, comments too, left as it was."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lrtool.config.document import Path_, parse_document, parse_node, parse_value, write_yaml
from lrtool.config.load import validate, with_bases
from lrtool.config.override import key_path
from lrtool.config.problems import ConfigError
from lrtool.config.schema import Config
from lrtool.config.writing.spans import spans_of
from lrtool.schedules import KINDS, Schedule


def edited(source: Path, target: Path, wanted: Config, changes: Mapping[str, Any]) -> str:
    """The text of the config `wanted`, to be written to `target`.

    It is that of the file `source` with `changes` (values by dotted key) where that reads as `wanted` when it stands
    at `target`; else `wanted` written out, without comments. Either way relative paths stay relative, and what is left
    to its default stays unwritten.
    """
    written = source.read_text(encoding="utf-8")
    old, new = source.resolve().parent, target.resolve().parent
    changed = {key: _moved_value(key_path(key), value, old, new) for key, value in changes.items()}
    moved = dict(_moved(parse_document(written, str(source)).data, (), old, new)) if old != new else {}
    # A schedule that is merged with a base's needs its defaults too.
    whole = {"schedule": wanted.schedule.model_dump(mode="json")} if "schedule" in changes else {}
    for more in ({}, whole) if whole else ({},):
        # What is changed may be an anchor that is needed elsewhere.
        with contextlib.suppress(ConfigError):
            text = with_values(written, {**moved, **changed, **more})
            if text is not None and _reads_as(text, target, wanted):
                return text
    return write_yaml(_in_short(wanted, new))


def with_values(text: str, values: Mapping[str, Any]) -> str | None:
    """The text of a config with other values at some dotted keys; every comment stays.

    A key that is not written yet is added to what holds it, or at the end. None where neither can be done.
    """
    for key, value in values.items():
        spans, path = spans_of(parse_node(text, "")), key_path(key)
        around = spans.get(path[:-1])
        if path in spans:
            text = spans[path].replaced(text, inline(value))
        elif around is not None and isinstance(path[-1], str):
            longer = around.with_first(text, f"{path[-1]}: {inline(value)}")
            if longer is None:
                return None
            text = longer
        elif path[0] not in parse_document(text, "").data and () not in spans and all(isinstance(p, str) for p in path):
            nested = value
            for part in reversed(path[1:]):
                nested = {part: nested}
            text = f"{text.rstrip()}\n{path[0]}: {inline(nested)}\n"
        else:
            return None
    return text


def as_changes(overrides: Sequence[str], seed: int | None) -> dict[str, Any]:
    """What `--set` and `--seed` changed, by dotted key."""
    pairs = (text.partition("=") for text in overrides)
    changes = {key.strip(): parse_value(value, key) for key, _, value in pairs}
    return changes if seed is None else {**changes, "seed": seed}


def in_short(schedule: Schedule) -> str | dict[str, Any]:
    """A schedule as people write it: its kind, and the fields that differ from what is usual."""
    usual = KINDS[schedule.kind].model_validate({}).model_dump(mode="json")
    fields = {key: value for key, value in schedule.model_dump(mode="json").items() if value != usual[key]}
    return {"kind": schedule.kind, **fields} if fields else schedule.kind


def inline(value: Any) -> str:
    """A value as YAML in one line."""
    return write_yaml(value, flow=True, width=math.inf).removesuffix("...\n").strip()


def _in_short(section: BaseModel, folder: Path) -> dict[str, Any]:
    """A section as people write it: its kind, and what is not as usual; paths start from the folder."""
    cls, dumped = type(section), section.model_dump(mode="json")
    needed = {name: dumped[name] for name, field in cls.model_fields.items() if field.is_required() or name == "kind"}
    usual = cls.model_validate(needed).model_dump(mode="json")
    short: dict[str, Any] = {}
    for name, value in dumped.items():
        if (name in needed and value != "use") or value != usual[name] or name == "use":
            inner = getattr(section, name)
            short[name] = _in_short(inner, folder) if isinstance(inner, BaseModel) else value
            short[name] = _moved_value((name,), short[name], folder, folder)
    return short


def _moved(data: Any, path: Path_, old: Path, new: Path) -> Iterator[tuple[str, Any]]:
    """The relative paths of files in a config, by dotted key, as they are written from another folder."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        here = (*path, key)
        if isinstance(value, dict | list):
            yield from _moved(value, here, old, new) if key != "args" else ()
        elif (moved := _moved_value(here, value, old, new)) != value:
            yield ".".join(map(str, here)), moved


def _moved_value(path: Path_, value: Any, old: Path, new: Path) -> Any:
    """What stands at a path of a config in the folder `old`, as it is written in `new`; absolute ones below it too."""
    code, colon, name = "", "", ""
    if path[-1] in ("path", "file") or path == ("extends",):
        code = value
    elif path[-1] == "use" and isinstance(value, str) and ".py:" in value:
        code, colon, name = value.rpartition(":")
    if not isinstance(code, str) or not code or code.startswith("~"):
        return value
    found = Path(os.path.normpath(old / code))
    if Path(code).is_absolute() and not found.is_relative_to(new):
        return value
    return f"{Path(os.path.relpath(found, new)).as_posix()}{colon}{name}"


def _reads_as(text: str, target: Path, wanted: Config) -> bool:
    """Whether a file with this text would be this config."""
    here = target.resolve()
    try:
        config = validate(with_bases(parse_document(text, str(target)), here)).beside(here.parent)
    except ConfigError:
        return False
    return bool(_with_real_paths(config.model_dump(mode="json")) == _with_real_paths(wanted.model_dump(mode="json")))


def _with_real_paths(data: Any, key: str = "") -> Any:
    """The data of a config, in which one file has one name."""
    if isinstance(data, dict):
        return {name: value if name == "args" else _with_real_paths(value, name) for name, value in data.items()}
    if isinstance(data, list):
        return [_with_real_paths(item) for item in data]
    return os.path.normpath(data) if key in ("path", "file", "use") and isinstance(data, str) else data
