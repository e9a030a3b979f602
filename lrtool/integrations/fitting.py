"""Lightning's `fit` for short trainings: trainers like the user's that write nothing and leave no trace in his."""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import math
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lrtool.api.results.range_test import RangeTestAnswer
from lrtool.errors import UsageError
from lrtool.integrations.driving import Foreign, RangeTestOptions, Updates, checked, measure
from lrtool.live.preserved import Preserved, preserved

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:
    try:
        from pytorch_lightning.callbacks import Callback  # type: ignore[assignment,unused-ignore]
    except ImportError:
        raise UsageError(
            "Lightning is not installed",
            where="lrtool.integrations.lightning",
            remedy="install it with: pip install lightning",
        ) from None

__all__ = ["Callback", "FitPlan", "Fits", "check_alone", "on_its_device"]

#: Updates of a training that says no end.
_ENDLESS = 1000
_LOGGERS = (
    "lightning.pytorch",
    "lightning.fabric",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
    "pytorch_lightning",
    "pytorch_lightning.utilities.rank_zero",
)
_NO_END = f"the trainer has no end, so its length was taken to be {_ENDLESS:,} updates; say another: duration=…"


@dataclass(frozen=True)
class FitPlan:
    """What a fit would do: its optimizers, the one whose LR is tested, and its updates."""

    optimizers: list[torch.optim.Optimizer]
    chosen: torch.optim.Optimizer
    per_epoch: int
    steps: int
    notes: tuple[str, ...]

    @classmethod
    def of(cls, trainer: Any, optimizers: list[Any], which: int | None) -> FitPlan:
        """As a trainer that begins to train has it."""
        chosen = optimizers[_number(len(optimizers), which)]
        batches, steps = trainer.num_training_batches, trainer.estimated_stepping_batches
        endless = not math.isfinite(steps) or steps <= 0
        steps = _ENDLESS if endless else int(steps)
        per = math.ceil(batches / trainer.accumulate_grad_batches) if math.isfinite(batches) else steps
        return cls(optimizers, chosen, max(1, per), steps, (_NO_END,) * endless)


@dataclass(frozen=True)
class Fits:
    """A range test of a module in trainers of its own, each like the user's but for what it would leave behind."""

    trainer: Any
    module: Any
    given: Mapping[str, Any]
    loss: str | None
    schedule: Any
    settings: Mapping[str, Any]
    options: RangeTestOptions

    def planned(self, which: int | None) -> FitPlan:
        """What a fit would do, found by beginning one."""
        watch = _Begin(which)
        self._fit(watch, freezing=True)
        if watch.plan is None:
            raise UsageError("the trainer has nothing to train", where="trainer", remedy="give it data, and epochs")
        return watch.plan

    def measured(self, plan: FitPlan) -> RangeTestAnswer:
        """The range test; all is left as it was."""
        module, chosen = self.module, plan.chosen
        checked(module, chosen)
        plugin = self.trainer.precision_plugin
        scaler = getattr(plugin, "scaler", None)
        others = [*(each for each in plan.optimizers if each is not chosen), plugin, *[scaler] * (scaler is not None)]
        data = tuple(self.given.values())
        with preserved(module, chosen, None, data, others) as state, on_its_device(module):
            return measure(self._foreign(plan, state), self.options)

    def _foreign(self, plan: FitPlan, state: Preserved) -> Foreign:
        def train(updates: Updates) -> None:
            # The same objects every time: their state is what is rewound.
            self.module.configure_optimizers = lambda: plan.optimizers
            self._fit(_Drive(updates, self.loss, self.trainer.accumulate_grad_batches))

        settings = dict(self.settings)
        steps = settings.pop("duration", plan.steps)
        data, given = next(iter(self.given.values()), None), tuple(self.given.values())
        return Foreign(
            self.module, plan.chosen, data, plan.per_epoch, steps, train, state, self.schedule, settings, given,
            plan.notes,
        )  # fmt: skip

    def _fit(self, watch: Any, freezing: bool = False) -> None:
        check_alone(self.trainer)
        with _interruptible(), _quiet():
            self._like(watch, freezing).fit(self.module, **self.given)

    def _like(self, watch: Any, freezing: bool) -> Any:
        """A trainer that trains as the user's does, and does nothing else."""
        own, package = self.trainer, _package(self.trainer)
        kept = ["GradientAccumulationScheduler", *["BaseFinetuning"] * freezing]
        training = [c for c in own.callbacks if {cls.__name__ for cls in type(c).__mro__} & set(kept)]
        loggers = importlib.import_module(f"{package}.loggers.logger")
        device = own.strategy.root_device
        return importlib.import_module(package).Trainer(
            accelerator=own.accelerator,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            plugins=[own.precision_plugin],
            max_epochs=own.max_epochs,
            max_steps=own.max_steps,
            limit_train_batches=own.limit_train_batches,
            overfit_batches=own.overfit_batches,
            accumulate_grad_batches=1 if _has_accumulation(training) else own.accumulate_grad_batches,
            gradient_clip_val=own.gradient_clip_val,
            gradient_clip_algorithm=own.gradient_clip_algorithm,
            callbacks=[*map(copy.deepcopy, training), watch],
            logger=loggers.DummyLogger(),
            default_root_dir=own.default_root_dir,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )


class _Begin(Callback):  # type: ignore[misc,unused-ignore]
    """Notes what a fit is about to do, and ends it before its first batch."""

    def __init__(self, which: int | None) -> None:
        super().__init__()
        self.which = which
        self.plan: FitPlan | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.plan = FitPlan.of(trainer, list(trainer.optimizers), self.which)
        trainer.should_stop = True


class _Drive(Callback):  # type: ignore[misc,unused-ignore]
    """Has a trainer make the updates of one training: sets the LR before each, and reads the loss after it."""

    def __init__(self, updates: Updates, loss: str | None, accumulate: int) -> None:
        super().__init__()
        self.updates, self.loss, self.accumulate = updates, loss, accumulate
        self.losses, self.stepped = list[torch.Tensor](), False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        # The length is the test's; until here it was the user's, for configure_optimizers to read.
        trainer.fit_loop.max_epochs = trainer.fit_loop.epoch_loop.max_steps = -1
        trainer.strategy.lr_scheduler_configs = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.updates.prepare()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if getattr(optimizer, "optimizer", optimizer) is self.updates.optimizer:
            self.updates.prepare()
            self.stepped = True

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = self._loss(trainer, outputs)
        # What Lightning shows of a batch is already divided by the batches of an update.
        self.losses.append(loss * (self.accumulate if pl_module.automatic_optimization and not self.loss else 1))
        if self.stepped:
            self.updates.record(sum(self.losses) / len(self.losses))
            self.losses, self.stepped = [], False
        if self.updates.over:
            trainer.should_stop = True

    def _loss(self, trainer: Any, outputs: Any) -> torch.Tensor:
        found = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if self.loss is not None:
            found = trainer.callback_metrics.get(self.loss)
        if found is None:
            raise UsageError(
                f"the training step logs no {self.loss!r}" if self.loss else "the training step returns no loss",
                where="training_step",
                remedy='return it, or log it by self.log("name", loss) and name it: loss="name"',
            )
        return torch.as_tensor(found).detach().float().mean()


def _has_accumulation(callbacks: list[Any]) -> bool:
    return any(hasattr(each, "scheduling") for each in callbacks)


def _number(count: int, which: int | None) -> int:
    """Which of so many optimizers; UsageError where that is not said, or there is no such."""
    if count == 0:
        raise UsageError("configure_optimizers gives no optimizer", where="optimizer", remedy="return one")
    if which is None and count > 1:
        raise UsageError(
            f"configure_optimizers gives {count} optimizers, and one has its LR tested",
            where="optimizer",
            remedy=f"say which: optimizer=0 to optimizer={count - 1}",
        )
    if which is not None and not 0 <= which < count:
        raise UsageError(f"there are {count} optimizers, but got optimizer={which}", where="optimizer")
    return which or 0


def check_alone(trainer: Any) -> None:
    """UsageError where a trainer trains in several processes."""
    if trainer.world_size > 1:
        raise UsageError(
            f"the trainer uses {trainer.world_size} processes",
            where="trainer",
            remedy="find the LR with Trainer(devices=1), and use it in all",
        )


def _package(trainer: Any) -> str:
    """The package that a trainer is of: `lightning.pytorch`, or `pytorch_lightning` by itself."""
    for cls in type(trainer).__mro__:
        for name in ("lightning.pytorch", "pytorch_lightning"):
            if cls.__module__.startswith(name):
                return name
    raise UsageError(f"expected a Lightning Trainer, but got {type(trainer).__name__}", where="trainer")


@contextlib.contextmanager
def on_its_device(module: Any) -> Iterator[None]:
    """A trainer takes a module to the CPU when it ends; here it goes back to where it was."""
    device = next(module.parameters()).device
    try:
        yield
    finally:
        module.to(device)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning turns Ctrl-C into an exit, and then ignores it; here it is what it is elsewhere."""
    main = threading.current_thread() is threading.main_thread()
    before: Callable[..., Any] | int | None = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if main and before is not None:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A trainer says much about itself; of so many that the user did not make he need not hear."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [each.level for each in loggers]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="(lightning|pytorch_lightning)")
            for each in loggers:
                each.setLevel(logging.ERROR)
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
