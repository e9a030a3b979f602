"""From specifications to a task: built, and checked by one forward pass on a small batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.adapt import shape_by_target
from lrtool.tasks.arranging import ModelMaker, balanced, numbered
from lrtool.tasks.base import BuildContext, Data, Dataset, LossFunction, Metric, Model, Task, Unit, own_loss
from lrtool.tasks.failures import guarded
from lrtool.tasks.first_look import FirstLook, first_look, try_remainder
from lrtool.tasks.losses import Loss, default_loss
from lrtool.tasks.losses.base import check_loss, describe
from lrtool.tasks.metrics import MetricSpec, default_metrics
from lrtool.tasks.outputs import Select, selected, selection, whole

if TYPE_CHECKING:
    from lrtool.tasks.sources import Batch

_LOG = logging.getLogger("lrtool")


def build_task(
    name: str,
    model: Model,
    data: Dataset,
    loss: Loss | None,
    metrics: Sequence[MetricSpec] | None,
    context: BuildContext,
) -> Task:
    """Load the data, build the model once, and check that everything fits.

    `loss` None means the model's own loss if it returns one, else the default for the kind of target;
    `metrics` None means the defaults for that kind. torch's random state is left as it was. Raises UsageError
    where the config is wrong, TaskError where the data or the user's code is.
    """
    loaded = data.load(context)
    drop_last = data.drop_last if loaded.drop_last is None else loaded.drop_last
    batch_size = _batch_size(loaded.batch_size or data.batch_size, drop_last, loaded)
    if loss is not None:
        loss.check(loaded.shape)
    if loss is None or loss.kind == "cross_entropy":
        loaded = numbered(loaded)
    maker = ModelMaker(model, loaded.shape, context)
    tried = first_look(maker, batch_size, loaded, own=loss is None)
    batch, output, loaded = tried.batch, tried.output, _told_by_target(tried)
    loss = _choose_loss(loss, output, loaded, tried)
    select = _selection(model, loss, output)
    said = loss.model_dump(mode="json") if loss is not None else None
    if loss is not None:
        loss = loss.fitted(loaded.train)
        _check_fit(loss, select(output), batch, loaded)
    function = _build_loss(loss, select, output, batch, context)
    built = _metrics(metrics, loss, select, output, batch, loaded, context)
    weights = balanced(loaded) if data.sampler == "balanced" else loaded.weights
    task = Task(name, maker, loaded.train, loaded.val, batch_size, function, built, weights, drop_last,
                unit=loaded.unit, loss_said=said)  # fmt: skip
    return _in_its_batches(task, tried.whole_batches)


def _told_by_target(tried: FirstLook) -> Data:
    """The data with what the first batch's target tells of them, where nothing else does."""
    if tried.data.shape.target != "unknown":
        return tried.data
    return replace(tried.data, shape=shape_by_target(tried.batch.target))


def _in_its_batches(task: Task, whole: bool) -> Task:
    """The task with the batches that its model takes: whole ones only, or also the one that ends an epoch."""
    if whole:
        return _in_whole_batches(task)
    if task.uneven:
        try_remainder(task.new_model, task.train, len(task.train) % task.batch_size)
    return task


def _in_whole_batches(task: Task) -> Task:
    """The task of a model that takes batches of one size only; UsageError where there are none of that size."""
    only = f"the model takes only batches of {task.batch_size} samples"
    if task.uneven:
        raise UsageError(
            f"{only}, but the last of an epoch has {len(task.train) % task.batch_size}",
            where="data.drop_last",
            remedy="write drop_last: true",
        )
    task = replace(task, whole_batches=True)
    if task.val is not None and not task.val_samples:
        raise UsageError(
            f"{only}, but there are {len(task.val)} for validation",
            where="data.batch_size",
            remedy=f"write at most {len(task.val)}, raise data.val_fraction, or write 0 there to go without validation",
        )
    left = len(task.val) - task.val_samples if task.val is not None else 0
    _LOG.warning("%s%s", only, f"; the last {left} validation samples, which fill none, are left out" if left else "")
    return task


def _batch_size(batch_size: int, drop_last: bool, loaded: Data) -> int:
    """That of a batch; all samples make one where smaller batches are allowed."""
    if len(loaded.train) == 0:
        raise TaskError("there are no training samples", where="data", remedy="give at least one")
    if not drop_last:
        return min(batch_size, len(loaded.train))
    if batch_size > len(loaded.train):
        raise UsageError(
            f"a batch of {batch_size} does not fit {len(loaded.train)} training samples",
            where="data.batch_size",
            remedy=f"write at most {len(loaded.train)}, or drop_last: false",
        )
    return batch_size


def _selection(model: Model, loss: Loss | None, output: Any) -> Select:
    """Where in the model's output the loss and the metrics look; a loss of the user's own gets all of it."""
    wanted = getattr(model, "output", None)
    if loss is None or (loss.kind == "use" and wanted is None):
        return whole
    return selection(output, wanted)


def _choose_loss(loss: Loss | None, output: Any, loaded: Data, tried: FirstLook) -> Loss | None:
    """The loss that was asked for, none where the model has its own, else the default; one logit is for two classes."""
    if loss is not None:
        return loss
    if _is_own(own_loss(output), tried):
        return None
    alone = getattr(output, "ndim", 0) in (1, 2) and output.numel() == len(output)
    if loaded.shape.target == "class" and alone and loaded.shape.outputs <= 2:
        return default_loss(replace(loaded.shape, target="labels"))
    return default_loss(loaded.shape)


def _is_own(found: Any, tried: FirstLook) -> bool:
    """Whether what may be a model's own loss is one; a number in a tuple is, if it can be trained on."""
    if found is None or not isinstance(tried.output, tuple | list) or hasattr(tried.output, "loss"):
        return found is not None
    if found.requires_grad and isinstance(tried.batch.inputs, tuple) and not tried.gets_target:
        _LOG.warning(
            "the single number that the model returns is taken for its loss, though it does not see the targets;"
            " to train on these, write loss: cross_entropy (or mse …)"
        )
    return bool(found.requires_grad)


def _check_fit(loss: Loss, output: Any, batch: Batch, loaded: Data) -> None:
    """The loss against the model's output and the targets: this batch, and all those in memory."""
    from lrtool.tasks.sources import TensorSource

    loss.check_batch(output, batch.target)
    for source in (loaded.train, loaded.val):
        if isinstance(source, TensorSource):
            loss.check_targets(output, source.target)


def _build_loss(
    loss: Loss | None, select: Select, output: Any, batch: Batch, context: BuildContext
) -> LossFunction | None:
    """The loss function (None where the model has its own), after a try on the batch."""
    function = selected(loss.build(context), select) if loss is not None else None
    with guarded("the loss", "loss"):
        value = function(output, batch.target) if function is not None else own_loss(output)
    check_loss(value)
    return function


def _metrics(
    specs: Sequence[MetricSpec] | None,
    loss: Loss | None,
    select: Select,
    output: Any,
    batch: Batch,
    loaded: Data,
    context: BuildContext,
) -> dict[str, Metric]:
    """The metrics that were asked for; else those that go with a loss of ours, as far as they fit the output."""
    if specs is not None:
        if loss is None or loss.kind == "use":
            select = selection(output) if not any(spec.kind == "use" for spec in specs) else select
        return _build_metrics(specs, select, output, batch, context, loaded.unit)
    if loss is None or loss.kind == "use":
        return {}
    built: dict[str, Metric] = {}
    for spec in default_metrics(loaded.shape, loss.kind, loaded.unit is not None):
        try:
            built |= _build_metrics([spec], select, output, batch, context, loaded.unit)
        except TaskError as error:
            _LOG.info("no metric %s: %s", spec.kind, error)
    return built


def _build_metrics(
    metrics: Sequence[MetricSpec], select: Select, output: Any, batch: Batch, context: BuildContext, unit: Unit | None
) -> dict[str, Metric]:
    """The metrics by name, after a try on the batch."""
    import torch

    built: dict[str, Metric] = {}
    for spec in metrics:
        metric = spec.measured_in(unit, spec.build(context))
        if spec.kind != "use":
            metric = replace(metric, per_sample=selected(metric.per_sample, select))
        if metric.name in built:
            raise UsageError(
                f"two metrics are named {metric.name!r}", where="metrics", remedy="leave one out, or give it a `name`"
            )
        with guarded(f"the metric {metric.name!r}", "metrics"), torch.no_grad():
            values = metric.per_sample(output, batch.target)
        if not isinstance(values, torch.Tensor) or values.ndim == 0:
            raise TaskError(
                f"the metric {metric.name!r} must give one value per sample, but got {describe(values)}",
                where="metrics",
                remedy="return a tensor whose first axis is the batch; lrtool takes the mean",
            )
        built[metric.name] = metric
    return built
