"""Run folders: `outputs/<name>/<date>-<time>-<command>[-n]/`, never shared by two processes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from lrtool.errors import UsageError
from lrtool.runs import atomic, links
from lrtool.runs.lock import FolderLock
from lrtool.runs.manifest import COVERED, check_file, check_not_removed, manifest_of_run
from lrtool.runs.manifest import FILE as MANIFEST
from lrtool.runs.metrics import MetricsWriter
from lrtool.runs.summary import read_summary

#: The names of run folders: date, time, command, and a number where two began in one second.
NAME = re.compile(r"(?P<when>\d{8}-\d{6})-(?P<command>.+?)(-\d+)?")
#: Seconds after which nobody is about to rename a link any more.
_STALE = 60.0
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class RunFolder:
    """One folder of results and the fixed names of what is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holds = 0
        self._new = False

    @classmethod
    def create(cls, output: Path, name: str, command: str) -> Self:
        """Make a new folder below `output`; raises OutputError where that fails.

        `latest` leads to it from `make_latest` on: nobody shall find a run there of which nothing is kept yet.
        """
        parent = output / folder_name(name)
        stem = f"{datetime.now():%Y%m%d-%H%M%S}-{command}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path = _exclusive(parent, stem)
            (path / "checkpoints").mkdir()
        except OSError as error:
            raise atomic.output_error(parent, error) from None
        made = cls(path)
        made._new = True
        return made

    def make_latest(self) -> None:
        """Point `latest` at this folder, once, if it was made just now. Raises OutputError."""
        if not self._new:
            return
        try:
            _point_latest(self.path.parent, self.path)
        except OSError as error:
            raise atomic.output_error(self.path.parent, error) from None
        self._new = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """A run that exists: its folder, a `latest` link, or `outputs/<name>` (its newest run).

        Raises UsageError where there is none, or where a newer lrtool wrote it.
        """
        for candidate in (path, path / "latest"):
            target = _followed(candidate)
            if (target / "config.yaml").is_file():
                found = cls(target.resolve())
                if (found.path / "summary.json").is_file():
                    found.summary()
                return found
        what = "there is no such folder" if not path.exists() else "this is not a run folder (it has no config.yaml)"
        raise UsageError(
            what, where=str(path), remedy="give a folder that lrtool wrote, such as outputs/digits-mlp/latest"
        )

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def command(self) -> str:
        """The command that made it, by its summary or else by its name; empty where neither says."""
        # Not everything of that name can be read: a pipe would wait for its other end.
        if (self.path / "summary.json").is_file():
            with suppress(UsageError):
                return str(self.summary()["command"])
        found = NAME.fullmatch(self.path.name)
        return found["command"] if found is not None else ""

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints go."""
        return self.path / "checkpoints"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes the run while this lasts; may be nested.

        Raises UsageError, before anything is changed, where another process does, or where something in the folder
        leads out of it.
        """
        if self._holds:
            lock = None
        else:
            self.check()
            lock = FolderLock(self.path / "run.lock", "run")
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if lock is not None:
                lock.close()

    def check(self) -> None:
        """Raise UsageError where something in the folder leads out of it, as a link does."""
        links.check_all(self.path)

    def metrics(self, columns: tuple[str, ...], known: Iterable[Mapping[str, float]] | None = None) -> MetricsWriter:
        """The writer of `metrics.csv`; of a run that goes on it is to have the rows `known` and no others."""
        return MetricsWriter(self.path / "metrics.csv", columns, known)

    def seal(self, *names: str) -> None:
        """Write the manifest of these files, by which later changes are noticed; unsaid, of all that can have one.

        Raises OutputError.
        """
        try:
            manifest = manifest_of_run(self.path, names or COVERED)
        except OSError as error:
            raise atomic.output_error(self.path, error) from None
        atomic.write_bytes(self.path / MANIFEST, manifest)

    def verify(self, name: str) -> None:
        """Raise UsageError where a file of the folder is not as its manifest says, or is missing."""
        path = self.path / name
        links.check_file(path, in_place=False)
        check_not_removed(path, self.path)
        with suppress(OSError):
            check_file(path, path.read_bytes(), self.path)

    def tidy(self) -> None:
        """Remove what a process that was killed had not finished writing."""
        for folder in (self.path, self.checkpoints):
            atomic.remove_left_behind(folder)

    def summary(self) -> dict[str, Any]:
        """What `summary.json` says; raises UsageError where it is missing, damaged or from a newer lrtool."""
        return read_summary(self.path / "summary.json")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file whole or not at all."""
        atomic.write_text(self.path / name, text)

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all."""
        links.check_folder((self.path / name).parent)
        atomic.write_bytes(self.path / name, data)

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """Write a JSON file whole or not at all."""
        atomic.write_json(self.path / name, dict(document))


def folder_name(name: str) -> str:
    """What the folder of all runs of a name is called: the name, without what no path can have."""
    return _UNSAFE.sub("-", name).strip("-.") or "run"


def check_output(output: Path) -> None:
    """Raise OutputError where run folders could plainly not be made below `output`; nothing is made."""
    there = next(each for each in (output.absolute(), *output.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        error = NotADirectoryError(20, "Not a directory") if not there.is_dir() else PermissionError(13, "no right to")
        raise atomic.output_error(output, error)


def _exclusive(parent: Path, stem: str) -> Path:
    """A folder that this process alone has made: mkdir either makes it or fails."""
    for number in range(1, 10_000):
        path = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"10,000 folders named {stem}")


def _point_latest(parent: Path, path: Path) -> None:
    """`latest` is a link; where the system has none, a file that holds the name."""
    for left in parent.glob(".latest-*"):
        # Of a process that was killed before it could give it its name, which takes no time.
        with suppress(OSError):
            if left.lstat().st_mtime < time.time() - _STALE:
                left.unlink()
    temporary = parent / f".latest-{os.getpid()}-{path.name}"
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(path.name, target_is_directory=True)
    except OSError:
        temporary.write_text(path.name)
    temporary.replace(parent / "latest")


def _followed(path: Path) -> Path:
    """Where a `latest` points that is a file with a name in it."""
    if path.name == "latest" and path.is_file():
        # A name beside it, and no way to elsewhere.
        return path.parent / Path(path.read_text().strip()).name
    return path
