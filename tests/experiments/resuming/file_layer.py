"""A layer below the file functions of `os`: records what is done, lets it fail, replays what a power cut leaves."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("open", "write", "fsync", "ftruncate", "replace", "unlink", "mkdir")


@dataclass
class Content:
    """A file's content: what was written, and what of it is on the disk for certain."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""

    def after_power_cut(self, torn: bool) -> bytes:
        """What is left: what was synced, of the rest nothing, or half of what was appended."""
        if not torn or not self.data.startswith(self.durable):
            return self.durable
        return bytes(self.data[: (len(self.durable) + len(self.data) + 1) // 2])


class FileLayer:
    """Counts the operations below a folder; from number `fails_at` on each raises `errno`, if that is given.

    `once`: only that one does. `failed`: the first that did, its kind and path.
    """

    def __init__(self, root: Path, fails_at: int | None = None, errno: int = 0, once: bool = False) -> None:
        self.root, self.fails_at, self.errno, self.once = root, fails_at, errno, once
        self.failed: tuple[str, str] | None = None
        self.done: list[tuple[Any, ...]] = []
        self.count = 0
        self._paths: dict[int, str] = {}
        self._real = {name: getattr(os, name) for name in NAMES}

    def install(self, patch: Any) -> None:
        """Put it in the place of the functions of `os`."""
        for name in NAMES:
            patch.setattr(os, name, getattr(self, f"_{name}"))

    def _mine(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self.root)

    def _step(self, kind: str, path: Any) -> None:
        self.count += 1
        if self.fails_at is None or self.count < self.fails_at:
            return
        if self.count == self.fails_at or not self.once:
            self.failed = self.failed or (kind, str(path))
            raise OSError(self.errno, os.strerror(self.errno), str(path))

    def _open(self, path: Any, flags: int, *more: Any, **named: Any) -> int:
        changes = self._mine(path) and flags & (os.O_WRONLY | os.O_RDWR)
        if changes:
            self._step("open", path)
        handle = self._real["open"](path, flags, *more, **named)
        self._paths[handle] = str(path) if self._mine(path) else ""
        if changes:
            self.done.append(("create", str(path)))
        return handle

    def _write(self, handle: int, data: Any) -> int:
        path = self._paths.get(handle, "")
        if path:
            self._step("write", path)
        count = self._real["write"](handle, data)
        if path:
            end = os.lseek(handle, 0, os.SEEK_CUR)
            self.done.append(("write", path, end - count, bytes(data[:count])))
        return count

    def _fsync(self, handle: int) -> None:
        path = self._paths.get(handle, "")
        if path:
            self._step("fsync", path)
            self.done.append(("fsync", path))
        # The tests' disk need not spin.

    def _ftruncate(self, handle: int, length: int) -> None:
        path = self._paths.get(handle, "")
        if path:
            self._step("ftruncate", path)
            self.done.append(("truncate", path, length))
        self._real["ftruncate"](handle, length)

    def _replace(self, source: Any, target: Any, **named: Any) -> None:
        if self._mine(target):
            self._step("replace", target)
            self.done.append(("rename", str(source), str(target)))
        self._real["replace"](source, target, **named)

    def _unlink(self, path: Any, **named: Any) -> None:
        if self._mine(path):
            self._step("unlink", path)
        self._real["unlink"](path, **named)
        if self._mine(path):
            self.done.append(("unlink", str(path)))

    def _mkdir(self, path: Any, *more: Any, **named: Any) -> None:
        if self._mine(path):
            self._step("mkdir", path)
        self._real["mkdir"](path, *more, **named)
        if self._mine(path):
            self.done.append(("mkdir", str(path)))


def replayed(done: list[tuple[Any, ...]], root: Path, target: Path, torn: bool) -> None:
    """Make in `target` what a power cut after these operations leaves of `root`: unsynced writes dropped, or torn."""
    files: dict[str, Content] = {}
    folders: list[str] = []
    for kind, path, *more in done:
        if kind == "mkdir":
            folders.append(path)
        elif kind == "create":
            files.setdefault(path, Content())
        elif kind == "write":
            start, data = more
            content = files.setdefault(path, Content()).data
            content[start : start + len(data)] = data
        elif kind == "truncate":
            del files[path].data[more[0] :]
            files[path].durable = files[path].durable[: more[0]]
        elif kind == "fsync" and path in files:
            files[path].durable = bytes(files[path].data)
        elif kind == "rename":
            if path in files:
                files[more[0]] = files.pop(path)
        elif kind == "unlink":
            files.pop(path, None)
    for folder in [str(root), *folders]:
        (target / Path(folder).relative_to(root)).mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        with contextlib.suppress(FileNotFoundError):
            (target / Path(path).relative_to(root)).write_bytes(content.after_power_cut(torn))
