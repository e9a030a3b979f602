"""A disk that fails below Python, so that SQLite and whatever else writes in C meets it: `failing_disk.c`, preloaded.

Where there is no C compiler, or no LD_PRELOAD, only what goes through `os` meets it (`FileLayer`).
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
_PRELOAD = "LD_PRELOAD"


def preloaded() -> bool:
    """Whether this process has it."""
    return hasattr(ctypes.CDLL(None), "disk_arm")


def begin_again_with_it() -> None:
    """Begin this process anew, with it; where it cannot be built nothing happens."""
    if preloaded() or os.environ.get(_PRELOAD) or not sys.platform.startswith("linux"):
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return
    library = Path(tempfile.mkdtemp(prefix="failing-disk-")) / "failing_disk.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(SOURCE), "-ldl"]
    if subprocess.run(words, capture_output=True, timeout=120, check=False).returncode == 0:
        os.environ[_PRELOAD] = str(library)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def forget() -> None:
    """This process has it now: those that it starts need it not."""
    library = os.environ.pop(_PRELOAD, None)
    if library is not None and preloaded():
        shutil.rmtree(Path(library).parent, ignore_errors=True)


def arm(root: Path, report: Path, at: int | None, number: int, once: bool) -> None:
    """From now on this process's operations below `root` are counted, and fail as they should."""
    given = (str(root).encode(), str(report).encode(), at or 0, number if at is not None else 0, int(once))
    if ctypes.CDLL(None).disk_arm(given[0], given[1], ctypes.c_long(given[2]), *given[3:]):
        raise OSError(f"{report} cannot be written")
