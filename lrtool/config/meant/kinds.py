"""What was meant where a section of a config has no kind, or one that is not there: code or a file of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrtool.registry import Registry


def kind_meant(section: str, registry: Registry[Any], got: Any, said: Any) -> str | None:
    """What to write, where that is plain: `use` for a target, the kind that reads a file; None where it is not.

    `got`: what stands in the section; `said`: the kind by it, if any.
    """
    file = said if isinstance(said, str) else got.get("path") if isinstance(got, Mapping) else None
    if not isinstance(file, str):
        return None
    if said == file and "use" in registry.kinds:
        code, colon, name = file.rpartition(":")
        if colon and code and name and "{" not in file:
            return f"write {section}: {{use: '{file}'}}"
        if file.endswith(".py"):
            return f"write {section}: {{use: '{file}:Name'}}"
    ending = Path(file).suffix.lower()
    for name, kind in registry.kinds.items():
        if ending and ending in getattr(kind, "endings", ()):
            asked = kind.model_fields.get("target")
            needed = ", target: …" if asked is not None and asked.is_required() else ""
            return f"write {section}: {{kind: {name}, path: {file}{needed}}}" if said == file else f"write kind: {name}"
    return None
