"""The plots of run folders: drawn where they belong, or only once somebody keeps the folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from lrtool.report.plots.style import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.runs.folder import RunFolder


class Pictures:
    """Plots that wait: of folders that may be gone before anybody looks at them, so that nobody need wait for them."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Path, str], Callable[[], Figure]] = {}

    def wait(self, folder: Path, stem: str, draw: Callable[[], Figure]) -> None:
        """Let a plot wait, in place of the one before it."""
        self._waiting[folder, stem] = draw

    def write(self, folder: Path) -> None:
        """Draw what waits for a folder, and for runs within it. Raises OutputError where one cannot be written."""
        for waits in [each for each in self._waiting if each[0].is_relative_to(folder)]:
            save(self._waiting[waits](), *waits)
            del self._waiting[waits]


#: Where plots are to wait; none: they do not.
_WAITING: ContextVar[Pictures | None] = ContextVar("waiting", default=None)


@contextmanager
def drawn_later() -> Iterator[Pictures]:
    """Inside, plots of run folders wait in what this gives."""
    pictures = Pictures()
    before = _WAITING.set(pictures)
    try:
        yield pictures
    finally:
        _WAITING.reset(before)


def waiting() -> Pictures | None:
    """Where the plots of this context wait, if they do."""
    return _WAITING.get()


def picture(folder: RunFolder, stem: str, draw: Callable[[], Figure]) -> None:
    """Have `stem`.png and `stem`.svg in a run folder: `draw` gives the figure, now or when it is wanted.

    Raises OutputError where the folder cannot be written.
    """
    pictures = waiting()
    if pictures is None:
        save(draw(), folder, stem)
    else:
        pictures.wait(folder.path, stem, draw)
