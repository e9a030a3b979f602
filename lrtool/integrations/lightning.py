"""LR range tests in Lightning: the module's own training steps, in a trainer of the test's own that leaves no trace."""

from __future__ import annotations

from typing import Any

from lrtool.api.results.range_test import RangeTestAnswer
from lrtool.integrations.driving import RangeTestOptions
from lrtool.integrations.fitting import Callback, FitPlan, Fits, check_alone, on_its_device
from lrtool.live.peak import set_peak
from lrtool.live.preserved import preserved

#: Where modules keep their LR, by the names that Lightning's own finder looks for.
_NAMES = ("lr", "learning_rate")


class RangeTest(Callback):  # type: ignore[misc,unused-ignore]
    """Finds the LR when training starts, sets it in the optimizer, and trains on as if nothing had been.

    `trainer = Trainer(callbacks=[RangeTest()])`. `result` is then what was found. `optimizer`: which one, where
    `configure_optimizers` gives several. `apply`: whether the LR is set; the optimizer's groups keep their ratios, LR
    schedulers have it as their peak, and `lr` and `learning_rate` of the module and its `hparams` say it. All else as
    in `suggest_lr`. A training that is resumed is tested where it stands, once in the life of a trainer.
    """

    def __init__(
        self,
        optimizer: int | None = None,
        *,
        apply: bool = True,
        loss: str | None = None,
        schedule: Any = None,
        budget: float | None = None,
        quick: bool = False,
        progress: bool = True,
        output: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.optimizer, self.apply, self.loss, self.schedule = optimizer, apply, loss, schedule
        self.options, self.settings = RangeTestOptions(budget, quick, progress, output), settings
        self.result: RangeTestAnswer | None = None

    @property
    def state_key(self) -> str:
        """Under which Lightning keeps a callback's state, of which there is none: several may be in a trainer."""
        return f"{type(self).__qualname__}{id(self)}"

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Make the test, and set the LR that it suggests."""
        if self.result is not None or getattr(trainer, "fast_dev_run", False):
            return
        plan = FitPlan.of(trainer, list(trainer.optimizers), self.optimizer)
        loaders = {"train_dataloaders": trainer.train_dataloader}
        given = loaders if trainer.datamodule is None else {"datamodule": trainer.datamodule}
        job = Fits(trainer, pl_module, given, self.loss, self.schedule, self.settings, self.options)
        self.result = job.measured(plan)
        lr = self.result.suggested_lr
        if self.apply and lr is not None:
            set_peak(plan.chosen, lr)
            _tell(pl_module, lr)


def suggest_lr(
    trainer: Any,
    module: Any,
    train_dataloaders: Any = None,
    datamodule: Any = None,
    *,
    optimizer: int | None = None,
    apply: bool = False,
    loss: str | None = None,
    schedule: Any = None,
    budget: float | None = None,
    quick: bool = False,
    progress: bool = True,
    output: Any = None,
    **settings: Any,
) -> RangeTestAnswer:
    """Find the LR for a module as `trainer.fit` would train it; trainer, module and data are left as they were.

    The module is trained by its own `training_step`, loaders, `configure_optimizers` and hooks, with the trainer's
    precision, accumulation and clipping, in a trainer that has neither your callbacks nor your loggers and writes
    nothing. Each short training begins at the module's present weights. LRs are judged by training loss.

    optimizer: which one is tested, counted from 0, where `configure_optimizers` gives several; the others train along.
    apply: whether the next `fit` of this trainer trains at the LR found, whatever `configure_optimizers` says.
    loss: the name of a logged value that is the loss, where `training_step` returns none (manual optimization).
    schedule: the schedule that the LR is the peak of; the module's own schedulers stand still in the test.
    budget, quick, progress, output, settings: as in `lrtool.range_test`.
    """
    job = Fits(
        trainer,
        module,
        _given(train_dataloaders, datamodule),
        loss,
        schedule,
        settings,
        RangeTestOptions(budget, quick, progress, output),
    )
    check_alone(trainer)
    with preserved(model=module, data=(train_dataloaders, datamodule)), on_its_device(module):
        found = job.measured(job.planned(optimizer))
    if apply and found.suggested_lr is not None:
        _tell(module, found.suggested_lr)
        trainer.callbacks.append(SetLr(found.suggested_lr, optimizer or 0))
    return found


class SetLr(Callback):  # type: ignore[misc,unused-ignore]
    """Sets the peak LR of one optimizer when training starts, whatever `configure_optimizers` wrote there."""

    def __init__(self, lr: float, optimizer: int = 0) -> None:
        super().__init__()
        self.lr, self.optimizer = lr, optimizer

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Set it, in a training that begins; one that is resumed has the LR of its checkpoint."""
        if trainer.global_step == 0:
            set_peak(trainer.optimizers[self.optimizer], self.lr)


def _given(train_dataloaders: Any, datamodule: Any) -> dict[str, Any]:
    given = {"train_dataloaders": train_dataloaders, "datamodule": datamodule}
    return {name: value for name, value in given.items() if value is not None}


def _tell(module: Any, lr: float) -> None:
    """Write the LR where the module keeps its own, for whoever reads it there."""
    for name in _NAMES:
        if isinstance(vars(module).get(name), float | int):
            setattr(module, name, lr)
        if name in (getattr(module, "hparams", None) or {}):
            module.hparams[name] = lr
