"""LR range tests of what accelerate has prepared: its model, optimizer and loader, trained as its loops train them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from lrtool.api.results.range_test import RangeTestAnswer
from lrtool.config.specs import ScheduleLike
from lrtool.errors import UsageError
from lrtool.integrations.driving import Foreign, RangeTestOptions, Updates, checked, measure
from lrtool.live.preserved import preserved
from lrtool.tasks.base import own_loss

#: Epochs of a training whose length is not said.
_EPOCHS = 3
_NO_LENGTH = f"the training was taken to be {_EPOCHS} epochs long; say how long it is: duration=… (updates)"


def range_test(
    accelerator: Any,
    model: Any,
    optimizer: Any,
    loader: Any,
    loss: Callable[[Any, Any], Tensor] | None = None,
    *,
    clip_norm: float | None = None,
    schedule: ScheduleLike | None = None,
    budget: float | None = None,
    quick: bool = False,
    progress: bool = True,
    output: Any = None,
    **settings: Any,
) -> RangeTestAnswer:
    """Find the LR for what `accelerator.prepare` gave; all is left as it was, and the result is set by `apply`.

    Each batch is trained on inside `accelerator.accumulate(model)`, with `accelerator.backward`, so that precision and
    accumulation are the accelerator's own, and LRs move with updates, not with batches. LRs are judged by training
    loss.

    loss: `loss(model, batch)` gives the loss of a batch; unsaid, the model is called with the batch (a mapping as
        keyword arguments) and returns its loss itself, as those of transformers do.
    clip_norm: as `accelerator.clip_grad_norm_` takes it.
    settings: as in `lrtool.range_test`; `duration`: updates of the training that the LR is for.
    """
    _check(accelerator, optimizer, loader)
    inner, bare = checked(model, optimizer)
    batches = _length(loader)
    per_epoch = max(1, math.ceil(batches / accelerator.gradient_accumulation_steps))
    notes = () if "duration" in settings else (_NO_LENGTH,)
    steps = settings.pop("duration", _EPOCHS * per_epoch)
    others = [accelerator, accelerator.gradient_state, accelerator.scaler, optimizer]

    def train(updates: Updates) -> None:
        optimizer.zero_grad()
        accelerator.step, epoch = 0, 0
        while not updates.over:
            if hasattr(loader, "set_epoch"):
                loader.set_epoch(updates.trial.seed * 1000 + epoch)
            before = len(updates.losses)
            _epoch(accelerator, model, optimizer, loader, loss or _loss_of, clip_norm, updates)
            if len(updates.losses) == before:
                return
            epoch += 1

    with preserved(inner, bare, None, (loader,), [each for each in others if each is not None]) as state:
        inner.train()
        foreign = Foreign(
            inner, bare, loader, per_epoch, steps, train, state, schedule, settings, (loader,), notes
        )  # fmt: skip
        return measure(foreign, RangeTestOptions(budget, quick, progress, output))


def _epoch(
    accelerator: Any, model: Any, optimizer: Any, loader: Any, loss: Any, clip_norm: float | None, updates: Updates
) -> None:
    """Train on one pass through the loader, or as much of it as there are updates left."""
    losses = list[Tensor]()
    batches = iter(loader)
    for batch in batches:
        with accelerator.accumulate(model):
            value = loss(model, batch)
            accelerator.backward(value)
            losses.append(value.detach().float())
            if accelerator.sync_gradients and clip_norm is not None:
                accelerator.clip_grad_norm_(model.parameters(), clip_norm)
            updates.prepare()
            optimizer.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            updates.record(torch.stack(losses).mean())
            losses = []
            if updates.over:
                # An epoch that is broken off would otherwise still be the accelerator's.
                getattr(batches, "close", lambda: None)()
                return


def _loss_of(model: Any, batch: Any) -> Tensor:
    output = model(**batch) if isinstance(batch, Mapping) else model(*batch)
    found = own_loss(output)
    if not isinstance(found, Tensor):
        raise UsageError(
            f"the model returns {type(output).__name__}, which has no loss",
            where="loss",
            remedy="say how it is computed: loss=lambda model, batch: criterion(model(batch[0]), batch[1])",
        )
    return found


def _check(accelerator: Any, optimizer: Any, loader: Any) -> None:
    if accelerator.num_processes > 1:
        raise UsageError(
            f"the accelerator uses {accelerator.num_processes} processes",
            where="accelerator",
            remedy="find the LR in one process, and use it in all",
        )
    if not hasattr(optimizer, "step_was_skipped"):
        raise UsageError(
            "the optimizer was not prepared, so it would step at every batch",
            where="optimizer",
            remedy="pass what accelerator.prepare(model, optimizer, loader) gave",
        )
    if isinstance(loader, Iterator):
        raise UsageError("the loader cannot be begun again", where="loader", remedy="pass a DataLoader")


def _length(loader: Any) -> int:
    try:
        return len(loader)
    except TypeError:
        return 1000
