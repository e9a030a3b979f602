"""Digests of the files that a config names, by which another content of them is noticed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

#: Files of a folder that are looked at, and bytes of a file: of a larger one the beginning, the end and the size.
_MOST_FILES, _MOST_BYTES = 100_000, 2**28


def file_digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of files, and of folders of them, by their names without the folder, which may be moved.

    Of several that have one name in different folders all are in it, in the order in which they are named.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(Path(name).name, []).append(_digest(folder / name))
    return {name: " ".join(digests) for name, digests in found.items()}


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    try:
        for file in _files(path):
            found.update(str(file.relative_to(path)).encode("utf-8", "surrogateescape"))
            _add(found, file)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return found.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    count = 0
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                return
            yield Path(folder) / name


def _add(found: Any, file: Path) -> None:
    # No device, and nothing that waits for a writer.
    if not file.is_file():
        return
    size = file.stat().st_size
    found.update(size.to_bytes(8, "little"))
    with file.open("rb") as stream:
        if size <= _MOST_BYTES:
            found.update(hashlib.file_digest(stream, "sha256").digest())
            return
        found.update(stream.read(_MOST_BYTES // 2))
        stream.seek(size - _MOST_BYTES // 2)
        found.update(stream.read())
