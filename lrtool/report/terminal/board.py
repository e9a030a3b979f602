"""A sweep as it goes on: a table of the leaders in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from lrtool.printable import printable
from lrtool.report.plots.style import number, shortened
from lrtool.report.terminal.live import clock_time, line_written
from lrtool.report.terminal.progress import is_terminal
from lrtool.runs.sweep.leaders import Leaders
from lrtool.runs.sweep.store import StoredTrial
from lrtool.status import Status

#: Variants shown while a sweep runs.
_SHOWN = 8
#: Different reasons for failures that are told while it runs.
_MOST_TOLD = 3
_LIVE_EVERY, _PLAIN_EVERY = 0.5, 10.0


class SweepBoard:
    """Counts what ends and shows nothing; `text` says where the sweep stands."""

    every: float = float("inf")

    def __init__(self, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._label, self._clock = printable(label), clock
        self._wanted = self._done = self._steps = self._bad = self._pruned = 0
        self._began = self._due = clock()
        self._work, self._worked = 0.0, 0.0
        self._told: set[str] = set()
        self.leaders = Leaders()

    def begin(self, trials: int, known: Sequence[StoredTrial], work: float | None = None) -> None:
        """Training starts."""
        self._wanted, self._began = trials, self._clock()
        self._work = trials if work is None else work
        for trial in known:
            self.leaders.add(trial)
        before = f" ({len(known)} are done already)" if known else ""
        self._due = self._began + self.every
        self._line(f"{self._label}: {trials} trials{before}")

    def note(self, text: str) -> None:
        """Something to know."""
        self._line(text)

    def advanced(self, steps: int) -> None:
        """Updates were done."""
        self._steps += steps
        self._draw_if_due()

    def worked(self, runs: float) -> None:
        """A part of a run was trained: where trials are pruned, most work ends no trial."""
        self._worked += runs
        self._draw_if_due()

    def ended(self, trial: StoredTrial) -> None:
        """A trial has ended."""
        self._done += 1
        self._bad += trial.status in (Status.DIVERGED, Status.FAILED)
        self._pruned += trial.status is Status.PRUNED
        if trial.status is Status.FAILED and len(self._told) < _MOST_TOLD and trial.message not in self._told:
            self._told.add(trial.message)
            self._line(f"failed: {trial.variant}: {trial.message}")
        self.leaders.add(trial)
        self._draw_if_due()

    def text(self) -> str:
        """Where the sweep stands, in a line."""
        elapsed = self._clock() - self._began
        parts = [f"{self._label}: {self._done}/{self._wanted} trials"]
        if self._bad:
            parts.append(f"{self._bad} diverged or failed")
        if self._pruned:
            parts.append(f"{self._pruned} pruned")
        if self._steps and elapsed > 0:
            parts.append(f"{self._steps / elapsed:,.0f} updates/s")
        eta = self._eta(elapsed)
        if eta is not None:
            parts.append(f"ETA {clock_time(eta)}")
        return ", ".join(parts)

    def close(self) -> None:
        """Nothing more will come."""

    def _eta(self, elapsed: float) -> float | None:
        """Seconds to go; None while that is not known, and once all is done."""
        done, work = self._worked or float(self._done), self._work
        if not done or self._done >= self._wanted:
            return None
        # What is pruned is an expectation: more may be trained.
        return elapsed / done * max(work - done, 0.0)

    def _draw_if_due(self) -> None:
        now = self._clock()
        if now >= self._due:
            self._due = now + self.every
            self._draw()

    def _draw(self) -> None:
        """Show where things stand."""

    def _line(self, text: str) -> None:
        """Show a line that stays."""


class PlainBoard(SweepBoard):
    """A line every ten seconds, without control characters."""

    every = _PLAIN_EVERY

    def __init__(self, label: str, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(label, clock)
        self._stream: TextIO | None = stream

    def close(self) -> None:
        """The last line."""
        if self._done:
            self._line(self.text())

    def _draw(self) -> None:
        best = self.leaders.ranked()[:1]
        leader = f", best: {best[0].variant} ({self.leaders.metric} {number(best[0].mean)})" if best else ""
        self._line(self.text() + leader)

    def _line(self, text: str) -> None:
        self._stream = line_written(self._stream, text)


class LiveBoard(SweepBoard):
    """The leaders, drawn anew twice a second below a line of progress."""

    every = _LIVE_EVERY

    def __init__(self, label: str, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(label, clock)
        from rich.console import Console
        from rich.live import Live

        self._live: Live | None = Live(console=Console(file=stream), auto_refresh=False, redirect_stdout=False)

    def close(self) -> None:
        """Leave the last drawing standing."""
        self._draw()
        if self._live is not None:
            self._live.stop()

    def _draw(self) -> None:
        if self._live is None:
            return
        try:
            self._live.start()
            self._live.update(self._table(), refresh=True)
        except (OSError, ValueError):
            self._live = None

    def _line(self, text: str) -> None:
        if self._live is not None:
            with suppress(OSError, ValueError):
                self._live.console.print(printable(text), markup=False, highlight=False)

    def _table(self) -> Any:
        from rich.table import Table

        table = Table(title=self.text(), title_justify="left", box=None, pad_edge=False)
        table.add_column("leaders", no_wrap=True)
        for name in (self.leaders.metric, "seeds", "diverged or failed"):
            table.add_column(name, justify="right")
        for each in self.leaders.ranked()[:_SHOWN]:
            bad = str(each.others) if each.others else ""
            table.add_row(shortened(printable(each.variant), 60), number(each.mean), str(each.finished), bad)
        return table


@contextmanager
def sweep_board(label: str, quiet: bool = False, stream: TextIO | None = None) -> Iterator[SweepBoard]:
    """The board of a sweep, on stderr unless another stream is given; with `quiet` it shows nothing."""
    target = stream if stream is not None else sys.stderr
    board = SweepBoard(label) if quiet else (LiveBoard if is_terminal(target) else PlainBoard)(label, target)
    try:
        yield board
    finally:
        with suppress(OSError, ValueError):
            board.close()
