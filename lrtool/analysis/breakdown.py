"""Whether a training has broken down, judged by the shape of its whole loss so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.history import GROUP, Levels

Array = NDArray[np.float64]

#: Updates before which nothing is said, unless the training has ended, and the fewest that a shape can be told by.
EARLIEST, _FEWEST = 64, 8
#: Levels that a smoothed one is the median of, and the expected range of four normal values in standard deviations.
_SMOOTH, _RANGE_OF_GROUP = 5, 2.06
#: Parts of a rise that it must pass at once; what "at once" is, in updates and as a part of the run; and how much
#: faster than the loss rose before.
_LOW, _HIGH, _UPDATES, _AT_ONCE, _FASTER = 0.25, 0.75, 8, 0.05, 6.0
#: Part of a rise that is lost again where a training recovers, the standard errors that this must exceed, and the parts
#: of the time since that are compared.
_FALLS, _ERRORS, _PARTS = 0.08, 3.5, 6
#: Standard deviations of the noise, and the part of the level, that a loss must have fallen by to have learned.
_LEARNED, _PART = 6.0, 0.15
#: How far above its start a loss has to be, in units of what it had fallen by, and what is "at its start" in them.
_ABOVE, _AT_START = 0.75, (-0.2, 0.35)
#: How many times all that was seen before an explosion is, and how many times the range of a little earlier.
_FAR, _GREW = 30.0, 5.0
#: Losses of the last ones that are an explosion, more than those of a spike, while the training goes on.
_PATIENCE = 80
#: What exponential growth is: fifths of a rise, seen from 1.5% of it on, that gain more than the one before, if not as
#: a jump does, and this many times what the last but one gained (e^t: 5.4, t³: 2.3 at last); and how much is noise.
_FROM, _GAIN, _JUMP, _CLEAR = 0.015, 3.0, 15.0, 100.0
#: How far apart two levels are, as a factor, that a broken training jumps between.
_TO_AND_FRO = 1e6


def breakdown(seen: Levels, tail: Array, ended: bool) -> str | None:
    """Why a training with these losses has broken down, in words; None where it has not, or it is too early to say.

    With m the smoothed highest losses of each few updates, B the lowest m, L the last level, and the noise, the start S
    and the drop D = S − B as they were before the loss left B + (L − B)/4, it has broken down where it

    - is above B + 30·max(D, 4·noise, |S|, |B|), and got there at once, grew fivefold in the last fifth of the run, or
      had learned before (D > 6·noise and 15% of the level);
    - grows exponentially, however slowly;
    - had learned, rose at once, stays, does not fall again, and is now either
      0.75 D above S or, until nothing else is to be expected, back at S;
    - jumps to and fro between levels a million times apart;
    - ended 30 times above its first loss, after a level a million times above both, however soon that came.

    At once: within 5% of the run, and six times as far as it rose in such times before. Data that get harder by and by,
    that are sorted, or that change and are learned again, a level that wanders, noise and spikes are none of these.

    `tail`: the last losses, one by one.
    """
    if len(seen.high) < _FEWEST or (not ended and seen.updates < EARLIEST) or _well_below_start(seen, tail):
        return None
    if _jumps(seen):
        return "the loss jumps to and fro, as seen"
    if seen.high.max() <= seen.high.min():
        return None
    rise = _Rise.of(seen, ended)
    if rise.exploded(tail) or (ended and _wrecked(seen, rise.level)):
        return "the loss exploded"
    if rise.grows:
        return "the loss grows exponentially, as seen"
    if not (rise.learned and rise.at_once and rise.stays) or rise.recovers:
        return None
    if rise.above > _ABOVE:
        return "the loss rose far above where it started and stayed there, as seen"
    if _AT_START[0] < rise.above < _AT_START[1] and rise.for_good:
        return "the loss went back to where it started and stayed there, as seen"
    return None


def _well_below_start(seen: Levels, tail: Array) -> bool:
    """Whether the loss is so far below its start now that nothing of the above can be: most are, and this is soon seen.

    No verdict speaks of losses more than 0.2 D below the start, which are S ≥ the first level and D ≤ its highest
    values less the lowest of all.
    """
    width = seen.width
    first, last = math.ceil(10 / width) + _SMOOTH, math.ceil(max(60, 0.1 * seen.updates) / width) + _SMOOTH
    most = float(seen.high[:first].max()) - float(seen.low.min())
    bound = float(seen.high[0] + seen.low[0]) / 2 + _AT_START[0] * most
    return bool(seen.high[-last:].max() < bound and tail.max() < bound)


def _jumps(seen: Levels) -> bool:
    last = math.ceil(max(10, 0.1 * seen.updates) / seen.width)
    high, low = _median(seen.high[-last:]), _median(seen.low[-last:])
    return 0 < low * _TO_AND_FRO < high and high >= seen.high[0]


def _wrecked(seen: Levels, level: float) -> bool:
    """Whether a run went through losses that leave no weights to speak of, and did not come back from there."""
    first = abs(float(seen.low[0]))
    return level > _FAR * first and float(seen.high.max()) > _TO_AND_FRO * max(first, level)


@dataclass(frozen=True)
class _Rise:
    """The way a loss went up: m left its lower quarter after level `before`, and reached the upper one at `after`."""

    seen: Levels
    ended: bool
    m: Array
    level: float
    before: int
    after: int
    start: float
    noise: float

    @classmethod
    def of(cls, seen: Levels, ended: bool) -> _Rise:
        m = _smoothed(seen.high)
        return cls.to(seen, ended, m, _median(m[-_last(seen, ended) :]))

    @classmethod
    def to(cls, seen: Levels, ended: bool, m: Array, level: float) -> _Rise:
        """The way up to a level."""
        before, after = _crossed(m, level)
        known = before + 1
        if known * seen.width < _UPDATES and seen.low.min() < 0:
            # What starts at nothing, and may be negative, says nothing by its first value.
            known = math.ceil(2 * _UPDATES / seen.width)
        return cls(seen, ended, m, level, before, after, _start(m, before, seen.width), _noise(seen, known))

    @property
    def best(self) -> float:
        return float(self.m.min())

    @property
    def drop(self) -> float:
        return max(self.start - self.best, 0.0)

    @property
    def learned(self) -> bool:
        return self.drop > max(_LEARNED * self.noise, _PART * max(abs(self.start), abs(self.best)))

    @property
    def at_once(self) -> bool:
        return self._within(self.before, self.after)

    @property
    def stays(self) -> bool:
        updates = self.seen.updates
        return self._stay >= (np.clip(0.1 * updates, 10, 100) if self.ended else max(100, updates / 3))

    @property
    def for_good(self) -> bool:
        updates = self.seen.updates
        return self._stay >= (max(10, 0.1 * updates) if self.ended else max(200, updates / 2))

    @property
    def above(self) -> float:
        """How far above its start it is, between its highest and its lowest, in units of the drop."""
        middle = (self.seen.high + self.seen.low) / 2
        level = _median(middle[-_last(self.seen, self.ended) :])
        return (level - _start(middle, self.before, self.seen.width)) / self.drop

    @property
    def recovers(self) -> bool:
        """Whether it fell again since, by more than a spike at its beginning explains."""
        stayed = self.seen.high[self.after + self._spike :]
        count = int(np.clip(len(stayed) * min(self.seen.width / GROUP, 1) / 3, 3, _PARTS))
        if len(stayed) < 2 * count:
            return False
        parts = np.array_split(stayed, count)
        levels = np.array([_median(part) for part in parts])
        rest = np.abs(np.concatenate([part - level for part, level in zip(parts, levels, strict=True)]))
        # A median is 1.25 times as uncertain as a mean; neighbours overlap where they are looked at one by one.
        each = len(rest) / count * min(self.seen.width / GROUP, 1)
        error = 1.25 * float(np.quantile(rest, 0.68)) * math.sqrt(len(rest) / (len(rest) - count) / each)
        falls = np.maximum.accumulate(levels) - levels
        return bool(falls.max() > max(_FALLS * (self.level - self.best), _ERRORS * error))

    @property
    def grows(self) -> bool:
        m, now = self.m, _median(self.m[-3:])
        rise = now - self.best
        noise = _noise(self.seen, max(self.before + 1, math.ceil(2 * _UPDATES / self.seen.width)))
        if rise <= _CLEAR * noise or now <= self.start + self.drop:
            return False
        began, end = int(np.flatnonzero(m <= self.best + _FROM * rise)[-1]), len(m) - 2
        if end - began < 10:
            return False
        gains = np.diff(m[np.linspace(began, end, 6).astype(int)])
        steady = (gains[1:] > gains[:-1]).all() and (gains[1:] < _JUMP * gains[:-1]).all()
        return bool(steady and (gains[2:] > _GAIN * gains[:-2]).all())

    def exploded(self, tail: Array) -> bool:
        threshold = self._threshold
        tail = tail[-8:] if self.ended else tail
        over = tail[tail > threshold]
        rising = len(over) == 4 and tail[-1] == tail.max()
        if len(over) <= (4 if self.ended else _PATIENCE) and not (self.ended and rising):
            return False
        range_before = float(self.m[: int(0.8 * len(self.m))].max()) - self.best
        grew = _median(over) - self.best > _GREW * range_before
        # What had learned before has no data that are so much harder, however slowly it rose.
        return grew or self.learned or self._within(*_crossed(self.m, threshold))

    @property
    def _threshold(self) -> float:
        """Where an explosion begins: by what was known before the loss was on its way there."""
        threshold = self.best + _FAR * max(self.drop, 4 * self.noise, abs(self.start), abs(self.best))
        return threshold if threshold >= self.level else _Rise.to(self.seen, self.ended, self.m, threshold)._threshold

    @property
    def _stay(self) -> float:
        return (len(self.m) - self.after) * self.seen.width

    @property
    def _spike(self) -> int:
        """Levels since the rise that may be a spike: more of them where it was one that no data explain."""
        width = self.seen.width
        peak = float(self.seen.high[self.after : self.after + math.ceil(20 / width)].max())
        most = math.ceil((40 if peak > self.start + 5 * self.drop else 12) / width)
        return max(round(_AT_ONCE / 2 * len(self.m)), min(most, (len(self.m) - self.after) // 3))

    def _within(self, before: int, after: int) -> bool:
        width = max(math.ceil(_UPDATES / self.seen.width), round(_AT_ONCE * len(self.m)))
        known = self.m[: before + 1]
        moves = known[width:] - known[:-width]
        usual = float(np.quantile(moves, 0.8)) if len(moves) else 0.0
        return after - before <= width and bool(self.m[after] - self.m[before] > _FASTER * usual)


def _noise(seen: Levels, count: int) -> float:
    """The standard deviation of the first levels' losses."""
    return _median(seen.high[:count] - seen.low[:count]) / _RANGE_OF_GROUP


def _last(seen: Levels, ended: bool) -> int:
    """Levels that show where the loss is now."""
    updates = np.clip(0.1 * seen.updates, 10, 60) if ended else max(30, 0.1 * seen.updates)
    return max(2, math.ceil(updates / seen.width))


def _start(values: Array, before: int, width: float) -> float:
    """Where it started, by its first ten updates, or fewer where it rose within them."""
    return max(float(values[0]), _median(values[: min(before + 1, max(1, math.ceil(10 / width)))]))


def _crossed(m: Array, level: float) -> tuple[int, int]:
    """The last place in the lower quarter of the way to a level, and the first in the upper one from there on."""
    rise = max(level - float(m.min()), 0.0)
    before = int(np.flatnonzero(m <= m.min() + _LOW * rise)[-1])
    reached = np.flatnonzero(m[before:] >= m.min() + _HIGH * rise)
    return before, before + int(reached[0]) if len(reached) else len(m) - 1


def _smoothed(values: Array) -> Array:
    """The running median, the first and the last value repeated beyond the ends."""
    half = _SMOOTH // 2
    padded = np.concatenate([np.full(half, values[0]), values, np.full(half, values[-1])])
    smoothed: Array = np.partition(np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH), half, axis=1)[:, half]
    return smoothed


def _median(values: Array) -> float:
    """The median of finite values: of a few, several times as fast as numpy's, which is for any shape and NaN."""
    ordered = np.sort(values)
    half = len(ordered) // 2
    return float(ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2)
