"""Recording of a trial: losses from the device into its trace, a chunk at a time, and where it diverged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from lrtool.analysis.divergence import Rule
from lrtool.engine.trials import GRAD_NORMS, Array, Fault, Trace, Trial
from lrtool.status import Status

#: Updates per chunk at most, and the seconds that a chunk should take.
_MAX_CHUNK = 256
_CHUNK_SECONDS = 0.25


class DivergenceWatch:
    """The first update at which a trial counts as diverged: a pure function of its losses, however they are cut."""

    def __init__(self, rule: Rule | None) -> None:
        self._monitor = rule.monitor() if rule is not None else None
        self._seen = 0

    def first(self, losses: Array, last: bool = False) -> tuple[int, str] | None:
        """The index (from the trial's start) and the reason, given the losses that follow those seen so far.

        `last`: there will be no more.
        """
        bad = np.flatnonzero(~np.isfinite(losses))
        finite = losses[: bad[0]] if len(bad) else losses
        exploded = self._monitor.update(finite) if self._monitor is not None else None
        if last and not len(bad) and self._monitor is not None:
            exploded = self._monitor.finish()
        start, self._seen = self._seen, self._seen + len(losses)
        if exploded is not None and self._monitor is not None:
            return exploded, f"{self._monitor.reason} at update {exploded}"
        if len(bad):
            return start + int(bad[0]), f"the loss became {losses[bad[0]]:g} at update {start + int(bad[0])}"
        return None


class Recorder:
    """Collects what updates produce, without waiting for the device, and delivers it into a trace.

    `names` are the columns besides loss, LR and seconds; `rule` None ends a trial at a non-finite loss only. `mean`: of
    losses over the processes that share in them.
    """

    def __init__(
        self,
        trial: Trial,
        names: Sequence[str],
        rule: Rule | None,
        device: torch.device,
        mean: Callable[[Tensor], Tensor] = torch.Tensor.detach,
    ) -> None:
        self._mean = mean
        self._columns = {name: np.full(trial.steps, np.nan) for name in ("train_loss", "lr", "seconds", *names)}
        self._watch = DivergenceWatch(rule)
        self._device = device
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._seconds: list[float] = []
        self._chunk_began = 0.0
        self.chunk = 1
        empty = np.empty(0)
        self.trace = Trace(trial, Status.INTERRUPTED, empty, empty, empty)
        self._expose(0)

    def restore(self, columns: Mapping[str, Array]) -> None:
        """Take over the columns of a trial that was stopped, and learn its losses."""
        length = len(columns["train_loss"])
        for name, values in columns.items():
            self._columns[name][:length] = values
        self._watch.first(self._columns["train_loss"][:length])
        self._expose(length)

    def columns(self) -> dict[str, Array]:
        """Every column of the trace so far."""
        return {name: values[: self.trace.steps] for name, values in self._columns.items()}

    def begin(self, columns: Mapping[str, Array]) -> None:
        """A chunk starts; `columns` are the hyperparameters that its updates will use."""
        start = self.trace.steps
        for name, values in columns.items():
            self._columns[name][start : start + len(values)] = values
        self._chunk_began = time.perf_counter()

    def add(self, loss: Tensor, norms: Tensor | None, seconds: float) -> None:
        """An update is done; the tensors stay on the device. `norms`: of the gradient, as `GRAD_NORMS`, (2,)."""
        self._losses.append(loss)
        if norms is not None:
            self._norms.append(norms)
        self._seconds.append(seconds)

    def flush(self) -> bool:
        """Bring what was added to the host; True (and the trace cut there) if the trial diverged in it."""
        start, count = self.trace.steps, len(self._seconds)
        if not count:
            return False
        losses = self._mean(torch.stack(self._losses[:count]))
        self._columns["train_loss"][start : start + count] = _on_host(losses)
        if self._norms and set(GRAD_NORMS) <= self._columns.keys():
            for name, values in zip(GRAD_NORMS, _on_host(torch.stack(self._norms[:count])).T, strict=True):
                self._columns[name][start : start + count] = values
        self._losses.clear()
        self._norms.clear()
        self._time(start, count)
        return self._settle(count)

    def deliver(self, measured: Mapping[str, Array], seconds: float) -> bool:
        """Take updates that are on the host already, `seconds` each; True if the trial diverged in them."""
        start, count = self.trace.steps, len(measured["train_loss"])
        for name, values in measured.items():
            self._columns[name][start : start + count] = values
        self._columns["seconds"][start : start + count] = seconds
        return self._settle(count)

    def _settle(self, count: int) -> bool:
        """Show the newest `count` updates in the trace, or cut it where they diverged."""
        start = self.trace.steps
        last = start + count == self.trace.trial.steps
        found = self._watch.first(self._columns["train_loss"][start : start + count], last)
        if found is None:
            self._expose(start + count)
            return False
        self.diverged(found[0] + 1, found[1])
        return True

    def diverged(self, steps: int, reason: str) -> None:
        """The trial diverged; the trace ends after `steps` updates."""
        self.trace.status, self.trace.reason = Status.DIVERGED, reason
        self.trace.evaluations[:] = [each for each in self.trace.evaluations if each.step < steps]
        self._expose(steps)
        self._fault()

    def ended_with(self, finite_weights: bool) -> bool:
        """After the last update: whether the weights are worth anything; if not, the trial diverged in it."""
        if not finite_weights:
            self.diverged(self.trace.steps, f"the weights are not finite after update {self.trace.steps - 1}")
        return finite_weights

    def found(self, layer: str) -> None:
        """What was first not finite where the trial diverged."""
        if layer and self.trace.fault is not None:
            self.trace.fault = replace(self.trace.fault, layer=layer)
            self.trace.reason += f"; the first that was not finite is {layer}"

    def judge(self, val_loss: float | None) -> bool:
        """Whether a validation loss ends the trial: one that is no number, or is infinite at the end of it."""
        steps = self.trace.steps
        if val_loss is None or math.isfinite(val_loss) or (math.isinf(val_loss) and steps < self.trace.trial.steps):
            return False
        self.trace.status = Status.DIVERGED
        self.trace.reason = (
            f"the validation loss became {val_loss:g} after {steps} updates, though the training loss is finite; look"
            " for such values in the validation data, and in what the model does in evaluation mode"
        )
        self._fault()
        return True

    def _fault(self) -> None:
        at = self.trace.steps - 1
        self.trace.fault = Fault(at, float(self.trace.lr[at])) if at >= 0 else None

    def _time(self, start: int, count: int) -> None:
        """Seconds per update; an asynchronous device only says how long the chunk took, so updates share it."""
        elapsed = time.perf_counter() - self._chunk_began
        seconds = self._seconds if self._device.type == "cpu" else [elapsed / count] * count
        self._columns["seconds"][start : start + count] = seconds
        self._seconds = []
        wanted = int(_CHUNK_SECONDS * count / max(elapsed, 1e-9))
        self.chunk = max(1, min(2 * self.chunk, wanted, _MAX_CHUNK))

    def _expose(self, steps: int) -> None:
        trace, columns = self.trace, {name: values[:steps] for name, values in self._columns.items()}
        trace.train_loss, trace.lr, trace.seconds = (columns.pop(name) for name in ("train_loss", "lr", "seconds"))
        trace.recorded.update(columns)


def _on_host(tensor: Tensor) -> Array:
    return tensor.cpu().double().numpy()


def rows_of(columns: Mapping[str, Array], fixed: Mapping[str, float]) -> Iterator[tuple[float, Mapping[str, float]]]:
    """LR and hyperparameters of each update, as floats; made before the updates start, so they wait for nothing."""
    lrs = columns["lr"].tolist()
    names = [name for name in columns if name != "lr"]
    if not names:
        return zip(lrs, repeat(fixed))
    values = zip(*(columns[name].tolist() for name in names), strict=True)
    return zip(lrs, [{**fixed, **dict(zip(names, row, strict=True))} for row in values], strict=True)
