"""One trial in training: its model, optimizer and random stream, and every update, evaluation and snapshot."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from lrtool.engine import rng
from lrtool.engine.evaluate import evaluate
from lrtool.engine.loop import continuing, state
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.judging import Best, improves, plateau_value
from lrtool.engine.loop.precision import MAX_SKIPS
from lrtool.engine.loop.trouble.faults import Instant, finite, first_fault
from lrtool.engine.loop.trouble.recovering import GoodState
from lrtool.engine.loop.updating import Updating
from lrtool.engine.parallel.ranks import ALONE, Ranks
from lrtool.engine.recorder import Recorder, rows_of
from lrtool.engine.trials import GRAD_NORMS, Array, Evaluation, Recipe, Recovery, Trace, Trial
from lrtool.schedules.plateau import PlateauState
from lrtool.status import Status
from lrtool.tasks.base import Task


class Training(Updating):
    """A trial between two updates; `task`'s sources are on the recipe's device already."""

    def __init__(self, task: Task, trial: Trial, recipe: Recipe, keep_best: bool = False, ranks: Ranks = ALONE) -> None:
        super().__init__(task, trial, recipe, ranks)
        self.best: Best | None = None
        #: What was said each time it went on on another curve than before.
        self.continued: list[str] = []
        self._higher = task.val is not None and task.higher_is_better.get(recipe.best, False)
        self._keep_best = keep_best
        self._tables: dict[str, Array] = {name: c(np.arange(trial.steps)) for name, c in trial.curves.items()}
        self._fixed = {**recipe.optimizer.hyperparameters(), **trial.hyperparameters}
        self._plateau = None
        if recipe.plateau is not None:
            self._plateau = PlateauState(recipe.plateau.following(task.higher_is_better), trial.curves["lr"].peak)
        self._good = GoodState(recipe, trial.steps) if recipe.recoveries else None
        self._recorder = self._new_recorder()
        self.keep_if_good()

    def _new_recorder(self) -> Recorder:
        recipe = self.recipe
        names = [*(name for name in self._tables if name != "lr"), *GRAD_NORMS * recipe.record_grad_norm]
        rule = recipe.divergence_rule if recipe.stop_on_divergence else None
        return Recorder(self.trial, names, rule, recipe.device, self._ranks.mean)

    @property
    def trace(self) -> Trace:
        """What the trial has produced so far."""
        return self._recorder.trace

    @property
    def size(self) -> int:
        """Bytes of a snapshot, roughly: the model, and twice as much of the optimizer and the best weights."""
        return 3 * sum(t.numel() * t.element_size() for t in (*self.model.parameters(), *self.model.buffers()))

    def advance(self, stop_every: int = 0, stop_at: Iterable[int] = ()) -> bool:
        """Do a chunk of updates; False if the trial diverged in it.

        A chunk ends at the next evaluation, at the next multiple of `stop_every` (0: none), at the next of `stop_at`
        and at the end, at the latest; where else depends on the speed, and no result depends on that.
        """
        end = min(self.step + self._recorder.chunk, self.trial.steps)
        for every in (self.recipe.eval_every, stop_every, self._good.every if self._good is not None else 0):
            if every:
                end = min(end, (self.step // every + 1) * every)
        end = self._ranks.first(min([end, *(at for at in stop_at if at > self.step)]))
        # To look for a fault again is for a process by itself: it could not tell the others when it has found one.
        alone, count = self._ranks.alone, self.recipe.accumulate
        self._feed.begin(self.step * count)
        before = Instant.of(self.step, self.size, self.model, self._optimizer, self._precision) if alone else None
        columns = self._columns(self.step, end)
        self._recorder.begin(columns)
        fits = all(self._timed_update(lr, values) for lr, values in rows_of(columns, self._fixed))
        alive = not self._recorder.flush() and fits
        alive = alive and (self.step < self.trial.steps or self._recorder.ended_with(self.sound))
        if not alive and before is not None and self._feed.repeats(before.step * count):
            self._recorder.found(self._first_fault(before, columns))
        return alive

    def keep_if_good(self) -> None:
        """After every so many updates: keep the state, to go back to, unless the losses speak against it."""
        if self._good is None or not self._good.is_due(self.step):
            return
        if self._good.is_good(self.trace.train_loss) and self.sound:
            self._good.state = self._snapshot()

    def recover(self) -> Recovery | None:
        """After a divergence go back to the last good state, at half the LR; None where that was done often enough."""
        good, trace = self._good, self.trace
        if good is None or good.state is None:
            return None
        if len(good.done) >= self.recipe.recoveries:
            trace.reason += f"; the LR had been halved {len(good.done)} times before, so this is given up"
            return None
        at = trace.fault
        recovery = good.after(at.step if at else trace.steps, at.lr if at else float("nan"), trace.reason)
        done = good.done
        self._recorder = self._new_recorder()
        self._put_back(good.state)
        good.done = done
        self.trace.recoveries[:] = done
        return recovery

    def _first_fault(self, before: Instant, columns: Mapping[str, Array]) -> str:
        """What was first not finite since a moment, by doing the updates since then again; empty where nothing was."""
        before.back(self.model, self._optimizer, self._precision)
        rows, end, self.step = rows_of(columns, self._fixed), self.step, before.step

        def again() -> None:
            self.recipe.optimizer.apply(self._optimizer, *next(rows))
            self._update()
            self.step += 1

        found = first_fault(self.model, again, self.trace.steps - before.step)
        self.step = end
        return found

    def evaluate_if_due(self) -> None:
        """After every `eval_every` updates and after the last: validate, keep the best weights, ease the plateau."""
        every = self.recipe.eval_every
        if self.step < self.trial.steps and not (every and self.step % every == 0):
            return
        with self.answer():
            self._evaluate(every)

    @contextlib.contextmanager
    def answer(self) -> Iterator[None]:
        """Inside, the model has the weights that training arrives at.

        For most optimizers these are the weights it trains with; those that average (schedule-free) swap them.
        """
        optimizer: Any = self._optimizer
        if not hasattr(optimizer, "eval"):
            yield
            return
        optimizer.eval()
        try:
            yield
        finally:
            optimizer.train()

    def _evaluate(self, every: int) -> None:
        """Validate the weights as they are now, and do what follows from it."""
        since = (self.step - 1) // every * every if every else 0
        values = {"train_loss": float(self.trace.train_loss[since:].mean())}
        if self.task.val is not None:
            began = time.perf_counter()
            autocast = self._precision.autocast
            measured = evaluate(self.task, self.model, self.task.val, self.recipe.device, autocast, self._ranks)
            self.trace.evaluations.append(Evaluation(self.step, measured, time.perf_counter() - began))
            values |= measured
            if self._recorder.judge(measured.get("val_loss")):
                return
        value = values.get(self.recipe.best, values["train_loss"])
        if self._keep_best and improves(value, self.best, self._higher):
            self.best = Best(self.step, value, state.weights(self.model))
        if self._plateau is not None:
            self._plateau.update(plateau_value(self.recipe, values))

    def give_up(self, status: Status, reason: str) -> None:
        """The trial cannot go on; updates that are done but not yet in the trace come in."""
        # A device that failed may not even give back what it had finished, and of several processes each has a part.
        with contextlib.suppress(RuntimeError):
            if self._ranks.alone:
                self._recorder.flush()
        self.trace.status, self.trace.reason = status, reason

    @property
    def sound(self) -> bool:
        """Whether its weights are finite, so that a checkpoint of them is worth having."""
        return not self._ranks.most(not finite(self.model))

    def snapshot(self) -> Checkpoint:
        """The whole state; valid between two chunks."""
        own = self._snapshot()
        if self._good is None:
            return own
        details = {**own.details, "recovering": self._good.details()}
        return replace(own, tensors={**own.tensors, **self._good.tensors()}, details=details)

    def _snapshot(self) -> Checkpoint:
        """All but the good state."""
        optimizer_tensors, optimizer_plain = state.optimizer_state(self._optimizer)
        loader_tensors: dict[str, Tensor] = {}
        groups: dict[str, Mapping[str, Tensor]] = {
            "model": state.model_state(self.model),
            "optimizer": optimizer_tensors,
            "rng": rng.capture(self.recipe.device),
            "best": self.best.weights if self.best else {},
            "loader": loader_tensors,
        }
        details = {
            "trial": continuing.identity(self.task, self.trial, self.recipe, self._fixed, self._recorder.columns()),
            "optimizer": optimizer_plain,
            "scaler": self._precision.state(),
            "plateau": self._plateau.state() if self._plateau is not None else None,
            "best": {"step": self.best.step, "value": self.best.value} if self.best else None,
            "continued": self.continued,
            "loader": state.packed(self._feed.state(), "state", loader_tensors, "the loader"),
        }
        tensors = {f"{prefix}/{name}": t for prefix, group in groups.items() for name, t in group.items()}
        # Not a copy: what is measured from here on comes after it.
        return Checkpoint(self.step, tensors, details, self._recorder.columns(), [*self.trace.evaluations])

    def restore(self, checkpoint: Checkpoint, where: str = "checkpoint") -> None:
        """Go on from a snapshot, on this trial's curve; UsageError where it belongs to another model or optimizer."""
        details = checkpoint.details
        continuing.check_identity(
            details["trial"],
            continuing.identity(self.task, self.trial, self.recipe, self._fixed, self._recorder.columns()),
            checkpoint.step,
            where,
        )
        self._put_back(checkpoint, where)
        if self._good is not None:
            self._good.restore(checkpoint)
            self.trace.recoveries[:] = self._good.done
        self.continued = [*details.get("continued", ())]
        if self.step < self.trial.steps:
            lr = self._tables["lr"]
            multiplied = self._plateau is not None or self.trace.recoveries
            used = lr[: self.step] if multiplied else self.trace.lr
            self.continued += continuing.other_curve(int(details["trial"]["steps"]), used, lr)

    def _put_back(self, checkpoint: Checkpoint, where: str = "checkpoint") -> None:
        """Make this trial what it was in a snapshot, apart from its curve."""
        details = checkpoint.details
        state.load_model_state(self.model, checkpoint.group("model"), where)
        state.load_optimizer_state(self._optimizer, checkpoint.group("optimizer"), details["optimizer"], where)
        self._precision.restore(details["scaler"])
        if self._plateau is not None and details["plateau"] is not None:
            self._plateau.restore(details["plateau"])
        self._recorder.restore(checkpoint.trace)
        self.trace.evaluations[:] = checkpoint.evaluations
        self.best = None
        if details["best"] is not None:
            self.best = Best(**details["best"], weights=checkpoint.group("best"))
        self.step = checkpoint.step
        loader = state.unpacked(details.get("loader"), checkpoint.group("loader"))
        self._feed.restore(loader, self.step * self.recipe.accumulate)
        rng.restore(checkpoint.group("rng"), self.recipe.device)

    def close(self) -> None:
        """End the processes that fetch its samples, if there are any."""
        self._feed.close()

    def _columns(self, start: int, end: int) -> dict[str, Array]:
        """The hyperparameters of updates start … end−1, from the curves and the plateau."""
        columns = {name: table[start:end] for name, table in self._tables.items()}
        factor = self._plateau.factor if self._plateau is not None else 1.0
        if self._good is not None:
            factor *= self._good.factor
        if factor != 1.0:
            lrs = [name for name in columns if name == "lr" or name in self.recipe.optimizer.lr_columns()]
            columns.update({name: columns[name] * factor for name in lrs})
        return columns

    def _timed_update(self, lr: float, hyperparameters: Mapping[str, float]) -> bool:
        """One update and its record; False if no loss scale lets it pass, which ends the trial."""
        began = time.perf_counter()
        self.recipe.optimizer.apply(self._optimizer, lr, hyperparameters)
        for _ in range(MAX_SKIPS):
            loss, norm, stepped = self._update()
            # Skips are rare, so looking at the loss then costs nothing; a non-finite one ends the trial.
            if stepped or not bool(self._ranks.mean(loss.clone()).isfinite()):
                self._recorder.add(loss, norm, time.perf_counter() - began)
                self.step += 1
                return True
        self._recorder.flush()
        reason = f"fp16 gradients overflowed at every loss scale at update {self.step}"
        self._recorder.diverged(self.step, reason)
        return False
