"""The kind of file system that a folder lies on, and what it can do."""

from __future__ import annotations

import re
import sys
from pathlib import Path

#: File systems that several machines share: a memory map of one is not seen by the other.
_NETWORK = (
    "nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.sshfs", "fuse.gluster", "fuse.ceph",
    "fuse.s3", "fuse.gcsfuse", "fuse.rclone", "fuse.juicefs", "fuse.weka", "wekafs", "afs", "9p", "virtiofs", "ocfs2",
    "gfs2", "pvfs2", "orangefs", "panfs", "davfs", "fuse.davfs",
)  # fmt: skip
#: File systems in the memory of one machine.
_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_MOUNTS = Path("/proc/self/mounts")


def kind_of(folder: Path) -> str:
    """What the system calls the file system of a folder, or of the folder that it would be made in; empty: unknown."""
    there = folder.resolve()
    best, kind = -1, ""
    for place, name in _mounts():
        if there.is_relative_to(place) and len(place.parts) >= best:
            # What is mounted last covers what was there.
            best, kind = len(place.parts), name
    return kind


def is_network(kind: str) -> bool:
    """Whether other machines write to such a file system too."""
    return kind.startswith(_NETWORK)


def is_memory(kind: str) -> bool:
    """Whether no other machine can see such a file system."""
    return kind in _MEMORY


def _mounts() -> list[tuple[Path, str]]:
    """Every mount point with its kind; none where the system has no such list."""
    if sys.platform != "linux":
        return []
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    fields = [line.split(" ") for line in lines]
    return [(Path(_unescaped(each[1])), each[2]) for each in fields if len(each) > 2]


def _unescaped(name: str) -> str:
    """A mount point as it is: blanks stand in octal (proc(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)
