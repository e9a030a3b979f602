"""Manifests: the SHA-256 of files, by which a changed or damaged one is noticed before anything of it is parsed.

As `sha256sum` writes them, so `sha256sum --check manifest.sha256` in a run folder says the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from lrtool.errors import UsageError
from lrtool.runs import links

#: The manifest of a run folder: of all that was written once and is read again.
FILE = "manifest.sha256"
#: What of a run folder it covers.
COVERED = (
    "config.yaml", "environment.json", "summary.json", "metrics.csv", "probes.csv", "trials.csv",
    "checkpoints/best.safetensors",
)  # fmt: skip
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_CHUNK = 2**20


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """A manifest of files by their names."""
    return _written({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})


def manifest_of_run(folder: Path, names: tuple[str, ...] = COVERED) -> bytes:
    """The manifest of those files of a run folder that are there; raises OSError."""
    return _written({name: _digest(folder / name) for name in names if (folder / name).is_file()})


def digests_in(manifest: bytes) -> dict[str, str]:
    """The digests in a manifest, by file; ValueError where it is none.

    >>> digests_in(manifest_of({"a.txt": b""}))["a.txt"][:8]
    'e3b0c442'
    """
    found = [_LINE.fullmatch(line) for line in manifest.decode("ascii").splitlines()]
    if not found or not all(found) or not manifest.endswith(b"\n"):
        raise ValueError("this is no manifest")
    return {match[2]: match[1] for match in found if match is not None}


def check_file(path: Path, data: bytes, below: Path | None = None) -> None:
    """Raise UsageError where a run folder's manifest names this file and its content is another now, or it is a link.

    What a link in somebody else's folder leads to is not the run's, and might be shown to whoever gets a report of it.
    `below`: the run folder, where the file does not stand in it directly. Folders of older versions have no manifest,
    and of a run that was killed it names only what was complete.
    """
    links.check_file(path, in_place=False)
    folder = below or path.parent
    known = _known(folder).get(path.relative_to(folder).as_posix())
    if known is not None and known != hashlib.sha256(data).hexdigest():
        raise UsageError(
            "damaged, or changed since the run wrote it: its content is not that of the manifest",
            where=str(path),
            remedy=f"run again; or, if you changed it on purpose, take its line out of {FILE}",
        )


def check_not_removed(path: Path, below: Path | None = None) -> None:
    """Raise UsageError where a run folder's manifest names this file and it is not there; `below` as for `check_file`.

    Who finds a file missing asks this first: a run that has not ended lacks files too.
    """
    folder = below or path.parent
    if path.relative_to(folder).as_posix() in _known(folder) and not path.exists():
        raise UsageError(
            "missing: the run wrote it, and it was removed since",
            where=str(path),
            remedy=f"put it back, or run again; or, if you removed it on purpose, take its line out of {FILE}",
        )


def _known(folder: Path) -> dict[str, str]:
    """The digests in a run folder's manifest; none where it has none. UsageError where it is damaged."""
    manifest = folder / FILE
    # A pipe of that name would wait for its other end.
    if not manifest.is_file():
        return {}
    try:
        return digests_in(manifest.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(manifest)) from None
    except ValueError:
        raise UsageError(
            "the manifest is damaged, so nothing in this folder can be checked",
            where=str(manifest),
            remedy=f"remove {FILE} if you know the files to be right, or run again",
        ) from None


def _written(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
