"""The user's own files that travel with the jobs: packed once on the driver, unpacked once on every node.

A snapshot: what a node runs is what stood on the driver when the command began. Left out of folders are hidden files,
caches, environments of installed packages and run folders.

Imports stand in functions here and beside, as `lrtool --help` reads every file of this package.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrtool.errors import OutputError, UsageError

#: What may travel: with every further byte each node waits longer, and Ray keeps all of it in memory.
MOST_BYTES, MOST_FILES = 100 * 2**20, 10_000
#: Large files that a refusal names.
_NAMED = 3
#: zip has no earlier day; the same files give the same archive, whenever they were written.
_DAY = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Manifest:
    """What is in an archive: its `digest`, and `names`, paths as they were written with their places in it."""

    digest: str
    names: Mapping[str, str]

    def places(self, unpacked: Path) -> dict[str, str]:
        """Where what was written is, below the folder that the archive was unpacked into."""
        return {written: str(unpacked / place) for written, place in self.names.items()}


@dataclass(frozen=True)
class Baggage:
    """Packed files, and what they are."""

    archive: bytes
    manifest: Manifest


def pack(wanted: Iterable[Path], also: Iterable[Path] = ()) -> Baggage | None:
    """Pack these files and folders; None where there are none.

    `also`: folders that are none of them, but may lie in one, and then have a place too. Raises UsageError, which names
    the largest, where they are too large to travel.
    """
    found = {str(path): path.resolve() for path in wanted}
    roots = _outermost(found.values())
    if not roots:
        return None
    files = [(f"{number}/{name}", path) for number, root in enumerate(roots) for name, path in _files(root)]
    _check_size([path for _, path in files])
    found.update({str(path): path.resolve() for path in also})
    places = {written: _place(roots, path) for written, path in found.items()}
    import hashlib

    archive = _zipped(files)
    names = {written: place for written, place in places.items() if place is not None}
    return Baggage(archive, Manifest(hashlib.sha256(archive).hexdigest(), names))


def unpacked(digest: str, archive: Callable[[], bytes]) -> Path:
    """The folder on this machine in which an archive is unpacked; fetched and done only once, whoever asks.

    Raises OutputError where somebody else could have put something there.
    """
    import io
    import shutil
    import tempfile
    import zipfile

    parent = own_folder()
    there = parent / digest
    if there.is_dir():
        return there
    made = Path(tempfile.mkdtemp(dir=parent, prefix="unpacking-"))
    try:
        with zipfile.ZipFile(io.BytesIO(archive())) as file:
            file.extractall(made)
        made.rename(there)
    except OSError:
        # Another worker of this node may have been faster.
        if not there.is_dir():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return there


def own_folder() -> Path:
    """The folder for what travelled here; of this user, and nobody else gets into it."""
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"lrtool-{os.getuid() if hasattr(os, 'getuid') else 'files'}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    own = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    if not (stat.S_ISDIR(found.st_mode) and own):
        raise OutputError(
            "this folder is not this user's alone, so nothing can be run from it",
            where=str(folder),
            remedy="remove it, or set TMPDIR to a folder of your own on that node",
        )
    return folder


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Those that lie in none of the others."""
    there = sorted(set(paths))
    return [path for path in there if path.exists() and not any(other in path.parents for other in there)]


def _place(roots: Sequence[Path], path: Path) -> str | None:
    """Where in the archive a path is; None where it is in no root."""
    for number, root in enumerate(roots):
        if path == root or root in path.parents:
            inside = path.relative_to(root).as_posix()
            # A file that travels alone keeps its name.
            return f"{number}/{root.name}" if root.is_file() else f"{number}/{inside}" if inside != "." else str(number)
    return None


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a folder with its path in it, in order; a file is what it holds of itself."""
    if root.is_file():
        yield root.name, root
        return
    seen: set[Path] = set()
    for at, folders, names in os.walk(root, followlinks=True):
        here = Path(at)
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        folders[:] = sorted(name for name in folders if not _left_out(here / name))
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(root).as_posix(), path


def _left_out(folder: Path) -> bool:
    """Whether nothing in a folder is the user's own, or it is what a command left behind."""
    marks = ("pyvenv.cfg", "conda-meta", "environment.json")
    named = folder.name in ("__pycache__", "site-packages", "dist-packages", "node_modules")
    return folder.name.startswith(".") or named or any((folder / mark).exists() for mark in marks)


def _check_size(files: Sequence[Path]) -> None:
    sizes = sorted(((path.stat().st_size, path) for path in files), reverse=True)
    total = sum(size for size, _ in sizes)
    if total <= MOST_BYTES and len(files) <= MOST_FILES:
        return
    largest = ", ".join(f"{path} ({size / 2**20:.0f} MB)" for size, path in sizes[:_NAMED])
    raise UsageError(
        f"{len(files):,} files of {total / 2**20:,.0f} MB stand beside the config's code and data and would travel to"
        f" every worker, but {MOST_FILES:,} files of {MOST_BYTES / 2**20:.0f} MB at most do; the largest: {largest}",
        where="cluster.ship",
        remedy="give the config a folder of its own, or write cluster: {ship: false} where all nodes see these folders",
    )


def _zipped(files: Iterable[tuple[str, Path]]) -> bytes:
    import io
    import zipfile

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in files:
            entry = zipfile.ZipInfo(name, _DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, path.read_bytes())
    return made.getvalue()
