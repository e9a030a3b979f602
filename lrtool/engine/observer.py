"""What watches an engine at work (progress, metrics on disk, loggers): a base class whose methods do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Importing this module needs no torch: what shows progress in a terminal is an observer too.
    from lrtool.engine.trials import Evaluation, Trace, Trial


class Observer:
    """Base of all observers: each overrides only what it needs. Called between updates, never inside one.

    Calls come from one thread at a time: `begin` once for each call of an engine, then `recorded`, `evaluated` and
    `ended` of its trials, in any order of trials; `close` once, at the end of the command, however it ends.
    """

    def begin(self, trials: Sequence[Trial], first: int = 0) -> None:
        """These trials are about to be trained; they are numbered from `first` on, and each knows its `steps`."""

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """Trial number `trial` has new entries from index `start` on (called every few dozen updates)."""

    def rewound(self, trial: int, trace: Trace) -> None:
        """A trial that diverged went back: its trace ends earlier now, and what came after it is trained again."""

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """A validation was done."""

    def ended(self, trial: int, trace: Trace) -> None:
        """A trial is over; its trace is complete."""

    def close(self) -> None:
        """Nothing more will come: let go of files and connections."""
