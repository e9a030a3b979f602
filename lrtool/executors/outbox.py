"""What a job says through files that driver and node both see: a numbered file a message, each there as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Outbox:
    """A folder of messages, written by one job at a time (also after it was requeued) and read by one driver.

    It lies in a folder that the driver made for this run and that only its user can write to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._next = 0

    def put(self, message: Any) -> None:
        """Say something; it is there as a whole, or not at all."""
        import pickle

        if not self._next:
            self._next = max((int(path.stem) for path in self.folder.glob("*.message")), default=0)
        self._next += 1
        file = self.folder / f"{self._next}.message"
        half = file.with_suffix(".half")
        with half.open("wb") as handle:
            pickle.dump(message, handle)
            handle.flush()
            os.fsync(handle.fileno())
        half.replace(file)

    def new(self) -> Iterator[Any]:
        """What was said since this was last asked, in order."""
        import pickle

        while True:
            try:
                data = (self.folder / f"{self._next + 1}.message").read_bytes()
            except FileNotFoundError:
                return
            self._next += 1
            yield pickle.loads(data)

    def all(self) -> list[Any]:
        """All that was said."""
        return list(Outbox(self.folder).new())
