"""Which files a config, or a sweep, names, and the same config where these files are somewhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lrtool.config.schema import Config
from lrtool.config.settings import InFolder

#: Keys whose values name a file or folder.
_FILES = frozenset({"path", "file"})
#: Sections that say nothing of what is trained.
_NOT_TRAINED = frozenset({"logging", "name", "cluster"})
#: A target whose code is a file: everything before the last colon.
_IN_FILE = re.compile(r"(.+\.py):[^/\\:]*")


def named_files(config: InFolder, sections: Collection[str] | None = None) -> tuple[list[str], list[str]]:
    """The files of code, and those of data, weights and LRs, as the config writes them, also where a sweep varies them.

    `sections`: those of the config that count; unsaid, all.
    """
    included = None if sections is None else set(sections)
    code: dict[str, None] = {}
    data: dict[str, None] = {}
    for key, value in _strings(config.model_dump(mode="json", include=included, exclude=set(_NOT_TRAINED)), ""):
        if key in _FILES:
            data[value] = None
        elif key == "use" and (found := _IN_FILE.fullmatch(value)):
            code[found[1]] = None
    return list(code), list(data)


def packages_named(config: InFolder) -> tuple[str, ...]:
    """Installed packages whose code the config runs."""
    targets = {value for key, value in _strings(config.model_dump(mode="json"), "") if key == "use"}
    return tuple(sorted({target.partition(":")[0].partition(".")[0] for target in targets if _is_package(target)}))


def elsewhere(config: Config, places: Mapping[str, str]) -> Config:
    """The same config, whose files are at other places, given by the paths that it writes; the rest stays."""
    data = _replaced(config.model_dump(mode="json"), "", places)
    moved = Config.model_validate(data).lr_said(config.lr_source)
    return moved.beside(Path(places.get(str(config.folder), str(config.folder))), config.code_beside)


def moved_folder(entry: str, places: Mapping[str, str]) -> str:
    """A folder whose code may run, where it is now; a package stays what it is."""
    there = places.get(str(Path(entry)))
    return f"{there}{os.sep}" if there is not None and os.sep in entry else entry


def _is_package(target: str) -> bool:
    code = target.rpartition(":")[0]
    return bool(code) and not _IN_FILE.fullmatch(target) and "/" not in code and not code.startswith("torch.")


def _strings(data: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every string with the last part of the key that it stands under; what is in `args` is the user's own."""
    if isinstance(data, str):
        yield key, data
    elif isinstance(data, list):
        for item in data:
            yield from _strings(item, key)
    elif isinstance(data, dict):
        for name, value in data.items():
            # What varies in a sweep is named by dotted keys.
            path = str(name).split(".")
            if "args" not in path:
                yield from _strings(value, path[-1])


def _replaced(data: Any, key: str, places: Mapping[str, str]) -> Any:
    if isinstance(data, str):
        if key in _FILES:
            return places.get(data, data)
        found = _IN_FILE.fullmatch(data) if key == "use" else None
        return f"{places.get(found[1], found[1])}{data[found.end(1) :]}" if found else data
    if isinstance(data, list):
        return [_replaced(item, key, places) for item in data]
    if isinstance(data, dict):
        return {name: value if name == "args" else _replaced(value, name, places) for name, value in data.items()}
    return data
