"""The vector engine: many trials of one task, stacked and trained by one update at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrtool.engine import rng
from lrtool.engine.batches import Batches
from lrtool.engine.device import repeatable
from lrtool.engine.interrupts import deferred_interrupts
from lrtool.engine.recorder import Recorder
from lrtool.engine.stacking import Stack, Update, Validation, compiled, math_attention, obstacle
from lrtool.engine.trials import Array, Evaluation, Observer, Recipe, Status, Trace, Trial
from lrtool.errors import LrtoolError, UsageError
from lrtool.tasks.base import Task, seeded_model

#: Updates between two looks at the losses.
_CHUNK = 64
#: What compiling a step costs, in seconds, and the part of the time of a plain step that it saves: it must pay.
_COMPILE_SECONDS, _COMPILE_SAVES = 12.0, 0.5


@dataclass(frozen=True)
class VectorEngine:
    """Trains trials of one task side by side, `slots` at a time; a trial that ends makes room for the next.

    Every trial has its own weights, batches, LR curve and hyperparameters; the same seed gives the same
    weights and batches as in the loop engine. Dropout is drawn from one stream for the whole stack, so
    with dropout a trial's result depends on its company. `compile`: True or False decides; None compiles
    where the updates left pay for it. Where compiling fails the plain update goes on.

    Memory is bounded by `slots`, whatever the number of trials.
    """

    slots: int = 16
    compile: bool | None = None

    def run(self, task: Task, trials: Sequence[Trial], recipe: Recipe, observer: Observer | None = None) -> list[Trace]:
        """Train every trial; traces in the order of the trials.

        Raises UsageError where the task cannot be stacked (see `obstacle`), TaskError where the user's code fails.
        """
        if not trials:
            return []
        with (
            deferred_interrupts() as interrupts,
            rng.preserved(recipe.device),
            repeatable(recipe.device),
            math_attention(),
        ):
            run = _Run(self, task, trials, recipe, observer)
            try:
                while run.active:
                    interrupts.check()
                    run.advance()
            except BaseException as error:
                run.give_up(error)
                raise
        return run.traces


class _Slot:
    """A trial in training: its curves as tables, its batches, its trace."""

    def __init__(self, number: int, trial: Trial, task: Task, recipe: Recipe) -> None:
        self.number, self.trial, self.step = number, trial, 0
        self.batches = Batches(task, trial.seed, recipe.device)
        fixed = {**recipe.optimizer.hyperparameters(), **trial.hyperparameters}
        self.tables = {name: np.full(trial.steps, value) for name, value in fixed.items()}
        self.curves = {name: curve.table() for name, curve in trial.curves.items()}
        self.tables.update(self.curves)
        names = [*(name for name in self.curves if name != "lr"), *["grad_norm"] * recipe.record_grad_norm]
        rule = recipe.divergence_rule if recipe.stop_on_divergence else None
        self.recorder = Recorder(trial, names, rule, recipe.device)

    @property
    def trace(self) -> Trace:
        return self.recorder.trace

    def until_due(self, eval_every: int) -> int:
        """Updates to the next evaluation or the end."""
        left = self.trial.steps - self.step
        return min(left, eval_every - self.step % eval_every) if eval_every else left


class _Run:
    """One call of the engine: the queue, the stack, and who is in which slot (None: nobody)."""

    def __init__(
        self, engine: VectorEngine, task: Task, trials: Sequence[Trial], recipe: Recipe, observer: Observer | None
    ) -> None:
        self._engine, self._recipe, self._observer = engine, recipe, observer
        val = task.val.to(recipe.device) if task.val is not None else None
        self._task = replace(task, train=task.train.to(recipe.device), val=val)
        self._skeleton = seeded_model(task, trials[0].seed).to(recipe.device).train()
        reason = obstacle(self._task, recipe)
        if reason is not None:
            raise UsageError(f"these trials cannot be stacked: {reason}", remedy="use the loop engine")
        rng.seed_training(trials[0].seed, recipe.device)
        self._queue = deque(enumerate(trials))
        self._traces: dict[int, Trace] = {}
        self._stack = Stack(self._skeleton, recipe, min(engine.slots, len(trials)))
        self._slots: list[_Slot | None] = [None] * self._stack.size
        self._update: Callable[..., Any] = Update(self._task, recipe, self._skeleton)
        self._validate = Validation(self._task, self._skeleton)
        self._decided = engine.compile is False
        if engine.compile:
            self._try_compiled()
        self._fill()

    @property
    def active(self) -> bool:
        """Whether any trial is still in training."""
        return any(slot is not None for slot in self._slots)

    @property
    def traces(self) -> list[Trace]:
        """The traces, in the order of the trials."""
        return [self._traces[number] for number in sorted(self._traces)]

    def advance(self) -> None:
        """Train every slot up to the next evaluation or end of any, look at the losses, and make room."""
        every = self._recipe.eval_every
        count = min(_CHUNK, *(slot.until_due(every) for slot in self._slots if slot is not None), _CHUNK)
        columns = self._columns(count)
        rows = self._rows(count)
        began = time.perf_counter()
        losses, norms = self._updates(columns, rows)
        seconds = (time.perf_counter() - began) / count
        self._deliver(count, columns, losses, norms, seconds / max(1, sum(slot is not None for slot in self._slots)))
        self._evaluate()
        self._finish()
        self._fill()
        self._decide(seconds)

    def give_up(self, error: BaseException) -> None:
        """The run cannot go on: deliver every trace as it is."""
        status = Status.STOPPED if isinstance(error, KeyboardInterrupt) else Status.FAILED
        for index, slot in enumerate(self._slots):
            if slot is not None:
                slot.trace.status, slot.trace.reason = status, str(error)
                self._end(index, slot)

    def _columns(self, count: int) -> dict[str, Array]:
        """Hyperparameters of the next updates, (count, size); nobody's slot stands still at LR 0."""
        names = ("lr", *self._recipe.optimizer.hyperparameters())
        columns = {name: np.zeros((count, self._stack.size)) for name in names}
        for index, slot in enumerate(self._slots):
            if slot is not None:
                for name in names:
                    columns[name][:, index] = slot.tables[name][slot.step : slot.step + count]
        return columns

    def _rows(self, count: int) -> Tensor:
        """Sample indices of the next updates, (count, accumulate, size, batch)."""
        many = self._recipe.accumulate
        nobody = torch.zeros(self._task.batch_size, dtype=torch.int64, device=self._recipe.device)
        rows = [
            nobody if slot is None else slot.batches(slot.step * many + m)
            for m in range(count * many)
            for slot in self._slots
        ]
        return torch.stack(rows).reshape(count, many, self._stack.size, -1)

    def _updates(self, columns: Mapping[str, Array], rows: Tensor) -> tuple[Array, Array]:
        """Do the updates; losses and gradient norms, both (count, size), on the host."""
        stack = self._stack
        h = {name: torch.from_numpy(values).to(stack.steps) for name, values in columns.items()}
        if any(param.dtype == torch.float64 for param in stack.parameters.values()):
            h = {name: torch.from_numpy(values).to(rows.device) for name, values in columns.items()}
        losses, norms = [], []
        with torch.no_grad():
            for t in range(len(rows)):
                state = (stack.parameters, stack.buffers, stack.optimizer, stack.steps)
                *after, loss, norm = self._call(*state, rows[t], {name: values[t] for name, values in h.items()})
                stack.parameters, stack.buffers, stack.optimizer, stack.steps = after
                losses.append(loss)
                norms.append(norm)
        return (torch.stack(values).cpu().double().numpy() for values in (losses, norms))  # type: ignore[return-value]

    def _call(self, *arguments: Any) -> Any:
        try:
            return self._update(*arguments)
        except LrtoolError:
            raise
        except Exception:
            if isinstance(self._update, Update):
                raise
            # The compiler failed on this model or machine; what it cannot do the plain update can.
            self._update = Update(self._task, self._recipe, self._skeleton)
            return self._update(*arguments)

    def _deliver(self, count: int, columns: Mapping[str, Array], losses: Array, norms: Array, seconds: float) -> None:
        for index, slot in enumerate(self._slots):
            if slot is None:
                continue
            start = slot.trace.steps
            measured = {"train_loss": losses[:, index], "grad_norm": norms[:, index]}
            if not self._recipe.record_grad_norm:
                del measured["grad_norm"]
            measured.update({name: columns[name][:, index] for name in slot.curves})
            diverged = slot.recorder.deliver(measured, seconds)
            slot.step += count
            if not diverged and slot.step == slot.trial.steps:
                slot.trace.status = Status.FINISHED
            if self._observer is not None and slot.trace.steps > start:
                self._observer.recorded(slot.number, slot.trace, start)

    def _evaluate(self) -> None:
        """Validate the slots whose evaluation is due."""
        if self._task.val is None:
            return
        every = self._recipe.eval_every
        due = [
            (index, slot)
            for index, slot in enumerate(self._slots)
            if slot is not None
            and slot.trace.status is not Status.DIVERGED
            and (slot.step == slot.trial.steps or (every and slot.step % every == 0))
        ]
        values = self._validate(self._stack) if due else []
        for index, slot in due:
            slot.trace.evaluations.append(Evaluation(slot.step, values[index]))
            if self._observer is not None:
                self._observer.evaluated(slot.number, slot.trace.evaluations[-1])

    def _finish(self) -> None:
        """Empty the slots of trials that ended."""
        for index, slot in enumerate(self._slots):
            if slot is not None and slot.trace.status in (Status.FINISHED, Status.DIVERGED):
                self._end(index, slot)

    def _end(self, index: int, slot: _Slot) -> None:
        self._slots[index] = None
        self._traces[slot.number] = slot.trace
        if self._observer is not None:
            self._observer.ended(slot.number, slot.trace)

    def _fill(self) -> None:
        """Give empty slots to waiting trials; with none waiting, an uncompiled stack closes its gaps."""
        for index, slot in enumerate(self._slots):
            if slot is None and self._queue:
                number, trial = self._queue.popleft()
                self._stack.load(index, seeded_model(self._task, trial.seed))
                self._slots[index] = _Slot(number, trial, self._task, self._recipe)
        taken = [index for index, slot in enumerate(self._slots) if slot is not None]
        if isinstance(self._update, Update) and 0 < len(taken) < len(self._slots):
            self._stack.keep(taken)
            self._slots = [self._slots[index] for index in taken]

    def _decide(self, seconds: float) -> None:
        """After the first updates: compile if those that are left pay for it."""
        if self._decided:
            return
        self._decided = True
        waiting = sum(trial.steps for _, trial in self._queue) / len(self._slots)
        left = waiting + max((slot.trial.steps - slot.step for slot in self._slots if slot is not None), default=0)
        if left * seconds * _COMPILE_SAVES > _COMPILE_SECONDS:
            self._try_compiled()

    def _try_compiled(self) -> None:
        if isinstance(self._update, Update):
            self._update = compiled(self._update)
