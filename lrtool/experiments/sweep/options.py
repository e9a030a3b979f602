"""Options of a sweep, and the interface of the board that shows its progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lrtool.experiments.spread.placing import Placing
from lrtool.runs.sweep.store import StoredTrial


@dataclass(frozen=True)
class Options(Placing):
    """Options of a sweep: where and how it is carried out, not what it trains."""

    allow_import: frozenset[str] = frozenset()
    retry_failed: bool = False


class Board(Protocol):
    """Interface of the board that shows the progress of a sweep."""

    def begin(self, trials: int, known: Sequence[StoredTrial], work: float | None = None) -> None:
        """So many trials are to be trained, which is about so much `work` in whole runs; others are known already."""

    def worked(self, runs: float) -> None:
        """A part of a run was trained, or a whole one."""

    def note(self, text: str) -> None:
        """Something to know."""

    def advanced(self, steps: int) -> None:
        """Updates were done."""

    def ended(self, trial: StoredTrial) -> None:
        """A trial has ended, and is recorded."""
