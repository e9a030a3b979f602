"""Other values in the text of a config, with everything else, comments too, left as it was."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lrtool.config.document import Path_, parse_document, parse_node, parse_value, write_yaml
from lrtool.config.load import validate, with_bases
from lrtool.config.override import key_path
from lrtool.config.problems import ConfigError
from lrtool.config.schema import Config
from lrtool.schedules import KINDS, Schedule


def edited(source: Path, target: Path, wanted: Config, changes: Mapping[str, Any]) -> str:
    """The text of the config `wanted`, to be written to `target`.

    It is that of the file `source` with `changes` (values by dotted key) where that reads as `wanted` when it stands
    at `target`; else the whole of `wanted` written out, without comments.
    """
    text = with_values(source.read_text(encoding="utf-8"), changes)
    return text if text is not None and _reads_as(text, target, wanted) else wanted.to_yaml()


def with_values(text: str, values: Mapping[str, Any]) -> str | None:
    """The text of a config with other values at some dotted keys.

    A key that is not written yet is added, at the end or in the brackets of what holds it. None where neither can be
    done, or where a value to replace stands in several lines without brackets.
    """
    for key, value in values.items():
        spans, path = dict(_spans(parse_node(text, ""), ())), key_path(key)
        start, end = spans.get(path, (0, 0))
        around, _ = spans.get(path[:-1], (0, 0))
        if path in spans:
            text = text[:start] + inline(value) + text[end:]
        elif path[:-1] in spans and text[around] == "{":
            text = f"{text[: around + 1]}{path[-1]}: {inline(value)}, {text[around + 1 :]}"
        elif len(path) == 1 and key not in parse_document(text, "").data and () not in spans:
            text = f"{text.rstrip()}\n{key}: {inline(value)}\n"
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


def _reads_as(text: str, target: Path, wanted: Config) -> bool:
    """Whether a file with this text would be this config."""
    here = target.resolve()
    try:
        config = validate(with_bases(parse_document(text, str(target)), here)).beside(here.parent)
    except ConfigError:
        return False
    return config.to_yaml() == wanted.to_yaml()


def _spans(node: yaml.Node | None, path: Path_) -> Iterator[tuple[Path_, tuple[int, int]]]:
    """Where in the text each value begins and ends, of those that stand in a line or in brackets."""
    if isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.CollectionNode) and node.flow_style):
        yield path, (node.start_mark.index, node.end_mark.index)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _spans(value, (*path, str(key.value)))
