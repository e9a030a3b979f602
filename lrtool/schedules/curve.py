"""A schedule bound to a run: the run, and the curve that gives the value used by each update."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.errors import ScheduleError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Binding:
    """The run (or segment) a schedule is bound to: its peak LR, its updates, and its updates per epoch."""

    peak: float
    steps: int
    steps_per_epoch: int | None = None

    def shortened(self, steps: int) -> Binding:
        """The same for fewer updates."""
        return dataclasses.replace(self, steps=steps)


#: Values that differ by no more than this part are one.
_ALIKE = 1e-12
#: Steps evaluated at once: a formula's intermediate arrays then stay in the processor's cache.
_BLOCK = 1 << 14


@dataclass(frozen=True)
class Curve:
    """A pure function step → value, evaluated on arrays; steps past the end keep the final value.

    `values` maps steps 0 … `steps` (float64, shape (n,)) to values; `peak` is the value it was bound to.
    """

    values: Callable[[Array], Array]
    steps: int
    peak: float

    @overload
    def __call__(self, t: int) -> float: ...
    @overload
    def __call__(self, t: ArrayLike) -> Array: ...
    def __call__(self, t: ArrayLike) -> float | Array:
        """The value used by update t, any shape; raises ScheduleError for a negative step."""
        steps = np.asarray(t, dtype=np.float64)
        if steps.size and not steps.min() >= 0:
            raise ScheduleError(
                f"a step is at least 0, but got {steps.min():g}", where="step", remedy="count updates from 0"
            )
        # One dimension always: a scalar takes the same arithmetic as an array, so both agree bit for bit.
        flat = steps.reshape(-1)
        out = np.empty_like(flat)
        for start in range(0, flat.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            out[block] = self.values(np.minimum(flat[block], self.steps))
        return out.reshape(steps.shape) if steps.ndim else float(out[0])

    def compressed(self, steps: int) -> Curve:
        """The same curve over another number of updates: update t has what this one has at t·(own steps/steps)."""
        scale = self.steps / steps
        return self if scale == 1 else Curve(lambda t: self.values(t * scale), steps, self.peak)

    def scaled(self, by: float) -> Curve:
        """The same curve times a number."""
        return Curve(lambda t: self.values(t) * by, self.steps, self.peak * by)

    @property
    def stable(self) -> int | None:
        """Updates up to the end of the constant phase at the highest value, after which the curve falls.

        None where there is no such phase of at least 3 updates and a tenth of the run, or it lasts to the end.
        """
        values = self.table()
        at_top = values >= values.max() * (1 - _ALIKE)
        end = int(np.flatnonzero(at_top)[-1]) + 1
        begin = end - int(np.argmin(np.append(at_top[:end][::-1], False)))
        return end if end < self.steps and end - begin >= max(3, self.steps / 10) else None

    def table(self) -> Array:
        """The values of updates 0 … steps−1, shape (steps,)."""
        return self(np.arange(self.steps))
