"""The ways to show a run's progress: not at all, in plain lines, or live."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, TextIO

from lrtool.printable import printable
from lrtool.report.terminal.sparkline import sparkline
from lrtool.streams import HANDLER

if TYPE_CHECKING:
    from lrtool.report.terminal.progress import ProgressState

#: Points of a curve that a sparkline looks at, so that long runs cost no more than short ones.
_POINTS = 1000


class Display:
    """Shows nothing. `due`: when to draw next; `first`, `every`: seconds to the first drawing and between two."""

    first: float = math.inf
    every: float = math.inf

    def __init__(self) -> None:
        self.due = math.inf

    def say(self, line: str) -> None:
        """Something goes on that cannot be counted."""

    def note(self, text: str) -> None:
        """Something to know, which stays on the screen."""

    def begin(self, state: ProgressState) -> None:
        """A group of trials starts."""

    def draw(self, state: ProgressState) -> None:
        """Show where things stand."""

    def close(self) -> None:
        """Nothing more will come."""


def line_written(stream: TextIO | None, line: str) -> TextIO | None:
    """Write a line of plain text; gives the stream, None once whoever reads it has gone."""
    if stream is None:
        return None
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(printable(line).encode(encoding, HANDLER).decode(encoding) + "\n")
        stream.flush()
    except (OSError, ValueError):
        return None
    return stream


class PlainDisplay(Display):
    """A line every ten seconds and one at the end: no control characters, no colours."""

    first = 2.0  # sooner, the speed is not known
    every = 10.0

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream: TextIO | None = stream

    def say(self, line: str) -> None:
        """Write the line."""
        self._write(line)

    def note(self, text: str) -> None:
        """Write its lines."""
        for line in text.splitlines():
            self._write(line)

    def begin(self, state: ProgressState) -> None:
        """Say what starts."""
        trials = f"{state.trials} trials, " if state.trials > 1 else ""
        self._write(f"{state.label}: {trials}{state.total:,} steps")

    def draw(self, state: ProgressState) -> None:
        """Write one line."""
        self._write(f"{state.label}: {', '.join(filter(None, [_where(state), *state.facts(), _when(state)]))}")

    def _write(self, line: str) -> None:
        self._stream = line_written(self._stream, line)


class LiveDisplay(Display):
    """A few lines of a terminal, drawn anew five times a second from the training thread itself."""

    first = 0.0
    every = 0.2

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live

        class Unbreakable(Console):
            def on_broken_pipe(self) -> None:
                self.quiet = True  # rich would end the process and redirect stdout

        console = Unbreakable(file=stream)
        # A user's print would tear the display; where stdout is a pipe it is left alone.
        self._live: Live | None = Live(
            console=console, auto_refresh=False, redirect_stdout=sys.stdout.isatty(), redirect_stderr=True
        )
        self._blocks = "utf" in (getattr(stream, "encoding", None) or "").lower()

    def say(self, line: str) -> None:
        """Show the line until there is more to show."""
        from rich.text import Text

        self._show(Text(line, style="bold"))

    def note(self, text: str) -> None:
        """Print it above the display."""
        if self._live is None:
            return
        try:
            self._live.console.print(printable(text, keep="\n"), markup=False, highlight=False)
        except (OSError, ValueError):
            self._live = None

    def draw(self, state: ProgressState) -> None:
        """Draw the display anew."""
        self._show(self._lines(state))

    def _show(self, content: Any) -> None:
        if self._live is None:
            return
        try:
            self._live.start()
            self._live.update(content, refresh=True)
        except (OSError, ValueError):
            self._live = None

    def close(self) -> None:
        """Leave the last drawing standing."""
        if self._live is not None:
            self._live.stop()

    def _lines(self, state: ProgressState) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(state.total, 1), completed=state.done, width=28)
        head.add_row(Text(state.label, style="bold"), bar, _where(state), Text(_when(state), style="cyan"))
        lines: list[Any] = [head]
        if self._blocks and len(state.losses):
            losses, lrs = (values[:: max(1, len(values) // _POINTS)] for values in (state.losses, state.lrs))
            curves = Text("  loss ", no_wrap=True, overflow="ellipsis")
            curves.append(sparkline(losses, 36, log=bool((losses > 0).all())), style="blue")
            curves.append("   lr ")
            curves.append(sparkline(lrs, 18, low=0), style="magenta")
            lines.append(curves)
        lines.append(Text("  " + "  ".join(state.facts()), no_wrap=True, overflow="ellipsis"))
        return Group(*lines)


def _where(state: ProgressState) -> str:
    part = f"{state.done:,}/{state.total:,} steps"
    return f"trial {state.trial + 1}/{state.trials}, {part}" if state.trials > 1 else part


def _when(state: ProgressState) -> str:
    if state.outcome:
        return f"{state.outcome} in {clock_time(state.elapsed)}"
    return f"ETA {clock_time(state.eta)}" if state.eta is not None else ""


def clock_time(seconds: float) -> str:
    """A duration for people.

    >>> clock_time(4.2), clock_time(75), clock_time(3700)
    ('4 s', '1:15', '1:01:40')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
