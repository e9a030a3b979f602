"""Files that are either whole or not there: written aside, fsynced, renamed."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from lrtool.errors import OutputError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; raises OutputError with the path and what to do."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, document: Any) -> None:
    """Write JSON whole or not at all; NaN and infinities, which JSON lacks, become null."""
    write_text(path, json.dumps(finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def finite(document: Any) -> Any:
    """The same document with null in place of every NaN and infinity."""
    match document:
        case float():
            return document if math.isfinite(document) else None
        case dict():
            return {key: finite(value) for key, value in document.items()}
        case list() | tuple():
            return [finite(value) for value in document]
    return document


def output_error(path: Path, error: OSError) -> OutputError:
    """What an operating system's refusal means for the user."""
    return OutputError(
        f"cannot write here: {error.strerror or error}",
        where=str(path),
        remedy="choose a folder that can be written with --output DIR, or make room on the disk",
    )


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
