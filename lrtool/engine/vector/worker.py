"""The worker that trains one stack: fills its slots from the queue, and does updates, validations and ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from lrtool.engine.batches import Batches
from lrtool.engine.device import flushed_denormals, released
from lrtool.engine.queue import WorkQueue
from lrtool.engine.trials import GRAD_NORMS, Array, Evaluation, Recipe
from lrtool.engine.vector.compiling import Compiled
from lrtool.engine.vector.obstacles import NotStackableError
from lrtool.engine.vector.proof.memories import Memories
from lrtool.engine.vector.skeleton import skeleton_of
from lrtool.engine.vector.slots import Slot
from lrtool.engine.vector.stack import Stack, StackState
from lrtool.engine.vector.update import Update
from lrtool.engine.vector.validation import Validation
from lrtool.status import Status
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.failures import guarded, ran_out_of_memory
from lrtool.tasks.sources import TensorSource

#: Updates between two looks at the losses.
_CHUNK = 64
#: Seeds whose freshly built models and batches a worker keeps, for further trials of the same seeds.
_SEEDS = 8
#: Sample indices that are kept of each.
_INDICES = 2**19

_LOG = logging.getLogger("lrtool")


class Worker:
    """Trains one stack, its slots filled from the queue, until nobody waits and every slot is empty.

    `compiled` updates the stack in place where there is one; otherwise, and once memory has run out, `update` does it.
    """

    def __init__(
        self, task: Task, recipe: Recipe, queue: WorkQueue, size: int, random: bool, compiled: Compiled | None
    ) -> None:
        self._task, self._recipe, self._queue = task, recipe, queue
        with queue.lock:
            skeleton = skeleton_of(task, recipe.device)
        self._names = recipe.per_update
        self._update = Update(task, recipe, skeleton, random)
        self._validate = Validation(task, skeleton, random)
        self._stack = Stack(skeleton, recipe, size)
        self._memories = Memories(task, skeleton)
        self._fixed_size = compiled is not None
        assert isinstance(task.train, TensorSource)
        self._source = task.train
        self._step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
        self._step = compiled.bind(self._stack, task.train) if compiled is not None else self._plain
        self._slots: list[Slot | None] = [None] * size
        #: Trials for which there was no memory any more, as they were: they go on when there is.
        self._aside: list[tuple[Slot, StackState]] = []
        self._starts: dict[int, tuple[nn.Module, Batches]] = {}

    def run(self, check: Callable[[], None]) -> None:
        """Train to the end; `check` is called between chunks, and what it raises ends the work."""
        try:
            self._fill()
            while any(slot is not None for slot in self._slots):
                check()
                self._advance()
            self._memories.keep_draws()
            self._guard()
        except BaseException as error:
            self._give_up(error)
            raise

    def _plain(self, rows: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        values = dict(zip(self._names, h.unbind(), strict=True))
        self._stack.state, losses, norms = self._update(self._source, self._stack.state, rows, values)
        return losses, norms

    def _advance(self) -> None:
        """Train every slot up to the next evaluation or end of any, look at the losses, and make room."""
        every = self._recipe.eval_every
        taken = [slot for slot in self._slots if slot is not None]
        count = min(_CHUNK, *(slot.until_due(every) for slot in taken), _CHUNK)
        columns, rows = self._columns(count), self._rows(count)
        self._memories.keep_draws()
        began = time.perf_counter()
        losses, norms = self._updates(columns, rows)
        done = len(losses)
        # Trials that train side by side share the time.
        seconds = (time.perf_counter() - began) / count / len(taken)
        if not self._fixed_size:
            self._guard()
        if done:
            self._deliver({name: column[:done] for name, column in columns.items()}, losses, norms, seconds)
            self._evaluate()
        for index, slot in enumerate(self._slots):
            if slot is not None and slot.trace.status in (Status.FINISHED, Status.DIVERGED):
                self._end(index, slot)
        if done < count:
            self._halve()
        self._fill()

    def _go_on_plain(self, before: StackState | None) -> None:
        """Update the stack by the plain update from here on.

        A compiled one changes the stack as it goes, so what it leaves where it breaks off is of no use: `before` is the
        state that it began at, None where nothing has been changed.
        """
        _LOG.info("memory ran out with a compiled stack, so it goes on uncompiled")
        self._step, self._fixed_size = self._plain, False
        if before is not None:
            self._stack.state = before

    def _halve(self) -> None:
        """Go on with half as many trials at once; the others wait, as they are, until one of these has ended."""
        taken = [index for index, slot in enumerate(self._slots) if slot is not None]
        # A stack has a slot at least, though its trial has just ended.
        stay = taken[: max(1, self._stack.size // 2)] or [0]
        for index in taken[len(stay) :]:
            slot = self._slots[index]
            assert slot is not None
            self._aside.append((slot, self._stack.taken(index)))
        _LOG.info("memory ran out with %d models at a time; %d from here on", self._stack.size, len(stay))
        self._slots = [self._slots[index] for index in stay]
        self._stack.keep(stay)
        released(self._recipe.device)

    def _guard(self) -> None:
        """Raise NotStackableError where the skeleton came to remember something, as all trials share it.

        A compiled update runs none of the model's code, so that only validations could have left anything then.
        """
        changed = self._memories.changed("while it trains")
        if changed is not None:
            raise NotStackableError(changed)

    def _columns(self, count: int) -> dict[str, Array]:
        """Hyperparameters of the next updates, (count, size); nobody's slot stands still at LR 0."""
        columns = {name: np.zeros((count, self._stack.size)) for name in self._names}
        for index, slot in enumerate(self._slots):
            if slot is not None:
                for name in self._names:
                    columns[name][:, index] = slot.tables[name][slot.step : slot.step + count]
        return columns

    def _rows(self, count: int) -> Tensor:
        """Sample indices of the next updates, (count, accumulate, size, batch)."""
        shape = (count, self._recipe.accumulate, self._task.batch_size)
        nobody = torch.zeros(shape, dtype=torch.int64, device=self._recipe.device)
        return torch.stack([nobody if slot is None else slot.rows(count) for slot in self._slots], 2)

    def _updates(self, columns: Mapping[str, Array], rows: Tensor) -> tuple[Array, Array]:
        """Do the updates; losses (count, size) and gradient norms (count, 2, size), on the host.

        They are fewer where memory ran out in the one after; none where it did so in a compiled one.
        """
        h = torch.from_numpy(np.stack(list(columns.values()), 1)).to(self._stack.hyperparameter_type).to(rows.device)
        done: list[tuple[Tensor, Tensor]] = []
        before, ran_out = None, False
        with flushed_denormals(), torch.no_grad():
            try:
                before = self._stack.copied() if self._fixed_size else None
                for given in zip(rows.unbind(), h.unbind(), strict=True):
                    done.append(self._step(*given))  # noqa: PERF401 - those before an error count
            except Exception as error:
                if (len(self._slots) == 1 and not self._fixed_size) or not ran_out_of_memory(error):
                    raise
                ran_out = True
        # Not while the error is at hand: it holds on to what the update had made so far.
        if ran_out and self._fixed_size:
            done.clear()
            self._go_on_plain(before)
        size = self._stack.size
        if not done:
            return np.empty((0, size)), np.empty((0, 2, size))
        losses, norms = (torch.stack(list(values)).cpu().double().numpy() for values in zip(*done, strict=True))
        return losses, norms

    def _deliver(self, columns: Mapping[str, Array], losses: Array, norms: Array, seconds: float) -> None:
        for index, slot in enumerate(self._slots):
            if slot is None:
                continue
            start = slot.trace.steps
            measured = {"train_loss": losses[:, index]}
            if self._recipe.record_grad_norm:
                measured.update(zip(GRAD_NORMS, norms[:, :, index].swapaxes(0, 1), strict=True))
            measured.update({name: columns[name][:, index] for name in slot.curves})
            diverged = slot.recorder.deliver(measured, seconds)
            slot.step += len(losses)
            at_end = not diverged and slot.step == slot.trial.steps
            if at_end and slot.recorder.ended_with(self._stack.finite(index)):
                slot.trace.status = Status.FINISHED
            self._queue.recorded(slot.number, slot.trace, start)

    def _evaluate(self) -> None:
        """Validate the slots whose evaluation is due."""
        every = self._recipe.eval_every
        due = [(index, slot) for index, slot in enumerate(self._slots) if slot is not None and slot.due(every)]
        if self._task.val is None or not due:
            return
        values = self._validate(self._stack)
        for index, slot in due:
            slot.trace.evaluations.append(Evaluation(slot.step, values[index]))
            slot.recorder.judge(values[index].get("val_loss"))
            self._queue.evaluated(slot.number, slot.trace.evaluations[-1])

    def _end(self, index: int, slot: Slot) -> None:
        self._slots[index] = None
        self._queue.ended(slot.number, slot.trace)

    def _give_up(self, error: BaseException) -> None:
        """The work cannot go on: deliver every trace as it is."""
        status = Status.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Status.FAILED
        for index, slot in enumerate(self._slots):
            if slot is not None:
                slot.trace.status, slot.trace.reason = status, str(error)
                self._end(index, slot)
        for slot, _ in self._aside:
            slot.trace.status, slot.trace.reason = status, str(error)
            self._queue.ended(slot.number, slot.trace)

    def _fill(self) -> None:
        """Give empty slots to waiting trials; with none waiting, a stack of no fixed size closes its gaps."""
        for index, slot in enumerate(self._slots):
            if slot is None and self._aside:
                self._slots[index], taken = self._aside.pop(0)
                self._stack.put(index, taken)
            elif slot is None and (waiting := self._queue.next()) is not None:
                number, trial = waiting
                model, batches = self._start(trial.seed)
                self._stack.load(index, model, trial.seed)
                self._slots[index] = Slot(number, trial, batches, self._recipe)
        self._close_gaps()

    def _start(self, seed: int) -> tuple[nn.Module, Batches]:
        """The model and the batches of a seed; those of the last few are kept, as trials share seeds."""
        start = self._starts.pop(seed, None)
        if start is None:
            with self._queue.lock, guarded("building the model", "model"):
                model = seeded_model(self._task, seed)
            kept = max(2, _INDICES // len(self._task.train))
            start = model, Batches(self._task, seed, self._recipe.device, kept)
        self._starts[seed] = start
        if len(self._starts) > _SEEDS:
            del self._starts[next(iter(self._starts))]
        return start

    def _close_gaps(self) -> None:
        taken = [index for index, slot in enumerate(self._slots) if slot is not None]
        if not self._fixed_size and 0 < len(taken) < len(self._slots):
            self._stack.keep(taken)
            self._slots = [self._slots[index] for index in taken]
