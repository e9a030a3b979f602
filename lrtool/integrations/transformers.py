"""LR range tests of a Hugging Face `Trainer`, by its own training steps; and lrtool's schedules as a callback of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lrtool.api.results.range_test import RangeTestAnswer
from lrtool.config.specs import ScheduleLike
from lrtool.errors import UsageError
from lrtool.integrations.driving import Foreign, RangeTestOptions, Updates, checked, measure
from lrtool.live.curve_lr import CurveLR
from lrtool.live.peak import set_peak
from lrtool.live.preserved import preserved
from lrtool.live.wrappers import bare_optimizer

try:
    from transformers import Trainer, TrainerCallback
except ImportError:
    raise UsageError(
        "transformers is not installed", where=__name__, remedy="install it with: pip install transformers accelerate"
    ) from None

#: lrtool's kinds of the schedules that `lr_scheduler_type` names.
_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant", "constant_with_warmup": "constant"}
#: Epochs of one seed, by number, lie so far from those of the next.
_APART = 1000


def range_test(
    trainer: Trainer,
    *,
    apply: bool = False,
    schedule: ScheduleLike | None = None,
    budget: float | None = None,
    quick: bool = False,
    progress: bool = True,
    output: Any = None,
    **settings: Any,
) -> RangeTestAnswer:
    """Find the LR for a `Trainer`; trainer, model, optimizer and data are left as they were.

    Its own `training_step`, `compute_loss`, collator, sampler, optimizer, precision, accumulation and clipping are
    used, as `train` uses them; its callbacks, loggers and checkpoints are not. Each short training begins at the
    model's present weights. LRs are judged by training loss.

    apply: whether the next `train` uses the LR found: in `args.learning_rate`, and in the optimizer where there is one.
    schedule: the schedule that the LR is the peak of; unsaid, the one that `args` name.
    budget, quick, progress, output, settings: as in `lrtool.range_test`.
    """
    options, frame = RangeTestOptions(budget, quick, progress, output), _checked(trainer)
    with preserved(trainer.model, data=(trainer.train_dataset,), others=frame):
        model, wrapped = _begun(trainer)
        inner, optimizer = checked(trainer.model, wrapped)
        per_epoch, whole, notes = _lengths(trainer)
        steps = settings.pop("duration", whole)
        given, more = (schedule, ()) if schedule is not None else _own_schedule(trainer, whole)
        with preserved(inner, optimizer, None, (trainer.train_dataset,), frame) as state:
            foreign = Foreign(
                inner, optimizer, trainer.train_dataset, per_epoch, steps, _Steps(trainer, model, wrapped), state,
                given, settings, (trainer.train_dataset,), (*notes, *more),
            )  # fmt: skip
            found = measure(foreign, options)
    lr = found.suggested_lr
    if apply and lr is not None:
        trainer.args.learning_rate = lr
        if trainer.optimizer is not None:
            set_peak(checked(trainer.model, trainer.optimizer)[1], lr)
    return found


class CurveCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Has a `Trainer` follow an lrtool schedule in place of its own: `callbacks=[CurveCallback("cosine warmup=5%")]`.

    The peak is the LR of each of the optimizer's parameter groups, so `args.learning_rate`, unless `lr` says another.
    What is logged is the LR that was used. A training that is resumed goes on where the curve then is.
    """

    def __init__(self, schedule: ScheduleLike, *, lr: float | None = None, **options: Any) -> None:
        self.schedule, self.lr, self.options = schedule, lr, options
        self.curve: CurveLR | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Bind the schedule to the length of the training, and set the first LR."""
        optimizer = bare_optimizer(given["optimizer"])
        per_epoch = max(1, round(state.max_steps / max(1e-9, float(args.num_train_epochs))))
        options = {"steps_per_epoch": per_epoch, **self.options}
        for group in optimizer.param_groups if state.global_step else ():
            group.setdefault("initial_lr", group["lr"])
        self.curve = CurveLR(
            optimizer, self.schedule, state.max_steps, lr=self.lr, last_epoch=state.global_step - 1, **options
        )
        self._drive(given["lr_scheduler"], state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Set the LR of the next update, after the trainer's own scheduler has set its own."""
        self._drive(given["lr_scheduler"], state.global_step)

    def _drive(self, scheduler: Any, step: int) -> None:
        assert self.curve is not None
        self.curve.step(step)
        own = getattr(scheduler, "scheduler", scheduler)
        if own is not None:
            # From here the trainer reads what it logs.
            own._last_lr = self.curve.get_last_lr()


class _Steps:
    """Makes the updates of a training as `Trainer._inner_training_loop` does, with its methods."""

    def __init__(self, trainer: Trainer, model: Any, optimizer: Any) -> None:
        self.trainer, self.model, self.optimizer = trainer, model, optimizer

    def __call__(self, updates: Updates) -> None:
        trainer, epoch = self.trainer, 0
        trainer.optimizer = self.optimizer
        loader = trainer.get_train_dataloader()
        while not updates.over:
            if hasattr(loader, "set_epoch"):
                # A sampler of accelerate's draws by the epoch, and by nothing else.
                loader.set_epoch(updates.trial.seed * _APART + epoch)
            batches, before = iter(loader), len(updates.losses)
            while not updates.over and self._update(batches, updates):
                pass
            if len(updates.losses) == before:
                return
            epoch += 1

    def _update(self, batches: Iterator[Any], updates: Updates) -> bool:
        """One update; false where the epoch has no batches left."""
        trainer, many = self.trainer, self.trainer.args.gradient_accumulation_steps
        samples, items = trainer.get_batch_samples(batches, many, trainer.args.device)
        if not samples:
            return False
        trainer.current_gradient_accumulation_steps = len(samples)
        losses = list[Tensor]()
        for number, inputs in enumerate(samples):
            last = number == len(samples) - 1
            trainer.accelerator.gradient_state._set_sync_gradients(last)
            losses.append(trainer.training_step(self.model, inputs, items))
        if trainer.args.max_grad_norm is not None and trainer.args.max_grad_norm > 0:
            trainer.accelerator.clip_grad_norm_(self.model.parameters(), trainer.args.max_grad_norm)
        updates.prepare()
        self.optimizer.step()
        self.model.zero_grad()
        # Each batch's loss is already its part of the update's.
        updates.record(torch.stack([loss.float() for loss in losses]).sum())
        return True


def _checked(trainer: Any) -> list[Any]:
    """What besides the model is to be left as it is; UsageError for what cannot be tested in one process."""
    if not isinstance(trainer, Trainer):
        raise UsageError(f"expected a transformers Trainer, but got {type(trainer).__name__}", where="trainer")
    if trainer.args.world_size > 1 or trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        raise UsageError(
            "the trainer spreads the model, or its batches, over processes",
            where="trainer",
            remedy="find the LR in one process, and use it in all",
        )
    if trainer.model is None:
        raise UsageError("the trainer makes its model itself", where="model_init", remedy="pass the model instead")
    if trainer.train_dataset is None:
        raise UsageError("the trainer has no training data", where="train_dataset", remedy="pass train_dataset")
    accelerator = trainer.accelerator
    others = [trainer, trainer.callback_handler, accelerator, accelerator.gradient_state, accelerator.scaler]
    return [each for each in (*others, trainer.optimizer, trainer.lr_scheduler) if each is not None]


def _begun(trainer: Trainer) -> tuple[Any, Any]:
    """Model and optimizer, prepared as a training prepares them."""
    trainer.create_optimizer()
    model = trainer._wrap_model(trainer.model_wrapped)
    if model is not trainer.model:
        return model, trainer.accelerator.prepare(trainer.optimizer)
    prepared: tuple[Any, Any] = trainer.accelerator.prepare(trainer.model, trainer.optimizer)
    return prepared


def _lengths(trainer: Trainer) -> tuple[int, int, tuple[str, ...]]:
    """Updates of an epoch and of the whole training, and what to know about them."""
    args, many = trainer.args, trainer.args.gradient_accumulation_steps
    try:
        per_epoch = max(1, math.ceil(len(trainer.get_train_dataloader()) / many))
    except TypeError:
        per_epoch = args.max_steps
    steps = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * per_epoch)
    notes = ("train_dataset can only be iterated: every short training begins it again",) * (per_epoch < 1)
    return max(1, per_epoch), max(1, steps), notes


def _own_schedule(trainer: Trainer, steps: int) -> tuple[ScheduleLike | None, tuple[str, ...]]:
    """lrtool's schedule that is the trainer's own; of one that has no match here none, with a note."""
    args = trainer.args
    name = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    kind = _SCHEDULES.get(name)
    if trainer.lr_scheduler is not None or kind is None or args.lr_scheduler_kwargs:
        return None, (
            f"the trainer's schedule ({name}) was taken to be constant; say it in lrtool's words: schedule=…",
        )
    warmup = args.get_warmup_steps(steps) if name != "constant" else 0
    return ({"kind": kind, "warmup": min(warmup, steps)} if warmup else kind), ()
