"""ProgressObserver on stderr: a live display in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

import numpy as np
from numpy.typing import NDArray

from lrtool.engine.observer import Observer
from lrtool.printable import printable
from lrtool.report.plots.style import number
from lrtool.report.terminal.live import Display, LiveDisplay, PlainDisplay
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.engine.trials import Evaluation, Trace

Array = NDArray[np.float64]
Clock = Callable[[], float]

#: Seconds between two samples of the speed, and how many samples it is taken over (some 30 seconds).
_SAMPLE_SECONDS, _SAMPLES = 0.5, 60


@dataclass
class ProgressState:
    """Where a run stands. `losses` and `lrs` are those of the trial heard of last; `done` counts all trials."""

    label: str
    trials: int
    total: int
    done: int = 0
    trial: int = 0
    ended: int = 0
    losses: Array = field(default_factory=lambda: np.empty(0))
    lrs: Array = field(default_factory=lambda: np.empty(0))
    values: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None
    elapsed: float = 0.0
    outcome: str = ""

    @property
    def eta(self) -> float | None:
        """Seconds to go at the current speed; None while that is unknown."""
        return (self.total - self.done) / self.rate if self.rate else None

    def facts(self) -> list[str]:
        """Loss, LR, validation and speed, as far as known."""
        facts = []
        if len(self.losses):
            facts += [f"loss {number(float(self.losses[-1]))}", f"lr {number(float(self.lrs[-1]))}"]
        facts += [f"{name} {number(value)}" for name, value in self.values.items()]
        if self.rate:
            facts.append(f"{number(self.rate)} steps/s" if self.rate < 100 else f"{self.rate:,.0f} steps/s")
        return facts


class ProgressObserver(Observer):
    """An engine's observer: keeps the state cheaply, has it drawn when the display is due.

    `done` updates of the first trial were made before (a resumed run); they count as done, not as speed.
    """

    def __init__(self, display: Display, state: ProgressState, steps: int, done: int, clock: Clock) -> None:
        self._display, self.state, self._steps, self._clock = display, state, steps, clock
        self._done = {0: done} if done else {}
        state.done = done
        self._began = clock()
        self._samples: deque[tuple[float, int]] = deque([(self._began, done)], maxlen=_SAMPLES)

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """New entries of a trial."""
        state = self.state
        first = not len(state.losses)
        state.losses, state.lrs, state.trial = trace.train_loss, trace.lr, trial
        steps = len(state.losses)
        state.done += steps - self._done.get(trial, 0)
        self._done[trial] = steps
        if first:
            # First updates pay for imports and warm-up; the speed is that of what follows.
            self._samples[0] = (self._clock(), state.done)
        self._draw_if_due()

    def rewound(self, trial: int, trace: Trace) -> None:
        """Updates are to be done again."""
        self.recorded(trial, trace, trace.steps)

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """A validation was done."""
        self.state.values = evaluation.values
        self._draw_if_due()

    def ended(self, trial: int, trace: Trace) -> None:
        """A trial is over; what it had left need not be done any more."""
        self.recorded(trial, trace, 0)
        self.state.ended += 1
        self.state.total -= self._steps - self._done[trial]
        broken_off = trace.status in (Status.INTERRUPTED, Status.FAILED)
        if self.state.ended == self.state.trials or broken_off:
            self.state.outcome = trace.status if self.state.trials == 1 or broken_off else Status.FINISHED
            self._measure(self._clock())
            self._display.draw(self.state)

    def _draw_if_due(self) -> None:
        now = self._clock()
        if now >= self._display.due:
            self._measure(now)
            self._display.due = now + self._display.every
            self._display.draw(self.state)

    def _measure(self, now: float) -> None:
        """The speed over the last samples: past pauses, such as a compilation, are forgotten."""
        state = self.state
        state.elapsed = now - self._began
        then, done = self._samples[0]
        if now > then and state.done > done:
            state.rate = (state.done - done) / (now - then)
        if now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, state.done))


class PartObserver(ProgressObserver):
    """The observer of one of several groups of trials that share a state, with one bar and one ETA."""

    def __init__(self, display: Display, state: ProgressState, steps: int, clock: Clock, before: int) -> None:
        super().__init__(display, state, steps, 0, clock)
        state.done, self._before = before, state.ended
        self._samples = deque([(self._began, before)], maxlen=_SAMPLES)

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """New entries of a trial."""
        super().recorded(self._before + trial, trace, start)
        self.state.total = max(self.state.total, self.state.done)

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """A validation was done."""
        super().evaluated(self._before + trial, evaluation)

    def ended(self, trial: int, trace: Trace) -> None:
        """A trial is over: the whole is not, whoever counts it."""
        self.recorded(trial, trace, 0)
        self.state.ended += 1


class ProgressObservers:
    """Makes the observer of a group of trials; a command with several groups shows one after the other.

    Once it is said what to expect of all of them together, they share one bar.
    """

    def __init__(self, label: str, display: Display, clock: Clock) -> None:
        self._label, self._display, self._clock = printable(label), display, clock
        self._whole: ProgressState | None = None
        self._first = clock()

    def note(self, text: str) -> None:
        """Show something that is to stay on the screen."""
        self._display.note(text)

    def expect(self, updates: int) -> None:
        """All groups of trials have about so many updates together."""
        if self._whole is None:
            self._whole = ProgressState(self._label, 1, updates)
            self._first = self._clock()
            self._display.begin(self._whole)
            self._display.due = self._first + self._display.first
        self._whole.total = max(updates, self._whole.done)

    def finished(self) -> None:
        """All groups of trials are done, however many there turned out to be."""
        state = self._whole
        if state is not None:
            state.total, state.outcome, state.elapsed = state.done, Status.FINISHED, self._clock() - self._first
            self._display.draw(state)

    def say(self, what: str) -> None:
        """Show what goes on before the first trial, as long as nothing can be counted."""
        self._display.say(f"{self._label}: {what}")

    def __call__(self, trials: int, steps: int, done: int = 0) -> ProgressObserver:
        """The observer of `trials` trials of `steps` updates each, `done` of the first one made before."""
        if self._whole is not None:
            return PartObserver(self._display, self._whole, steps, self._clock, self._whole.done)
        state = ProgressState(self._label, trials, trials * steps, done)
        self._display.begin(state)
        self._display.due = self._clock() + self._display.first
        return ProgressObserver(self._display, state, steps, done, self._clock)


@contextmanager
def progress(
    label: str, quiet: bool = False, stream: TextIO | None = None, clock: Clock = time.monotonic
) -> Iterator[ProgressObservers]:
    """Show progress while this lasts; gives the function that makes observers.

    In a terminal a live display with sparklines; elsewhere plain lines without control characters, whatever
    FORCE_COLOR says; with `quiet` nothing. Written to `stream`, stderr unless given. A stream that breaks
    ends the display, never the work.
    """
    target = stream if stream is not None else sys.stderr
    display: Display
    if quiet:
        display = Display()
    elif is_terminal(target):
        display = LiveDisplay(target)
    else:
        display = PlainDisplay(target)
    try:
        yield ProgressObservers(label, display, clock)
    finally:
        with suppress(OSError, ValueError):
            display.close()


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream takes control characters."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    except ValueError:  # closed
        return False
