"""Files that are given where a config belongs: what they are, and what to type instead."""

from __future__ import annotations

import shlex
from pathlib import Path

from lrtool.errors import closest

_WRITE = "give the path of a config, or write one with: lrtool init"


def sort_of_file(path: Path) -> tuple[str, str] | None:
    """What a file is that is no config by its name, and what to type; None where it may be one."""
    if path.suffix.lower() in ("", ".yaml", ".yml", ".json"):
        return None
    name = path.name.lower()
    _, colon, _ = name.partition(".py:")
    if colon or name.endswith(".py"):
        target = str(path) if colon else f"{path}:Name"
        return "this is code, not a config", f"write one for it: lrtool init --model {shlex.quote(target)} mine.yaml"
    if name.endswith((".toml", ".ini", ".ipynb")):
        return f"this is a file of the sort {path.suffix}, and configs are YAML", "write one with: lrtool init"
    if name.endswith((".pt", ".pth", ".ckpt", ".bin", ".safetensors")):
        return (
            "these are weights, not a config",
            f"train with them: lrtool train CONFIG --init-from {shlex.quote(str(path))}",
        )
    if not name.endswith(".txt") and _is_data(path):
        return (
            "these are data, not a config",
            f"write one for them: lrtool init --data {shlex.quote(str(path))} mine.yaml",
        )
    return None


def _is_data(path: Path) -> bool:
    from lrtool.tasks.datasets import kind_by_name

    return kind_by_name(path) is not None


def if_missing(path: Path) -> str:
    """What to type where a config is not there: the one of a name like it, beside it."""
    try:
        names = [each.name for each in path.parent.iterdir() if each.suffix.lower() in (".yaml", ".yml", ".json")]
    except (OSError, ValueError):
        return _WRITE
    same = [name for name in names if Path(name).stem == path.stem]
    near = same[0] if same else closest(path.name, names)
    return f"did you mean {str(path.with_name(near))!r}?" if near else _WRITE
