"""What every function of the API that trains does: a folder to work in, and progress to look at."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lrtool.report.terminal.progress import ProgressObservers


@contextmanager
def working(output: str | Path | None) -> Iterator[Path]:
    """The folder that run folders are made in; without `output` one of the system's, gone if the work fails."""
    if output is not None:
        yield Path(output)
        return
    folder = Path(tempfile.mkdtemp(prefix="lrtool-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def shown(label: str, progress: bool) -> Iterator[ProgressObservers]:
    """Progress on stderr: live in a terminal, plain lines in a notebook or a file, nothing if it is turned off."""
    from lrtool.report.terminal.progress import progress as showing

    with showing(label, quiet=not progress) as watch:
        yield watch
