"""From specifications to a task: built, and checked by one forward pass on a small batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import BuildContext, Data, Dataset, LossFunction, Metric, Model, Task, own_loss
from lrtool.tasks.failures import guarded
from lrtool.tasks.losses import Loss, default_loss
from lrtool.tasks.losses.base import check_loss, describe
from lrtool.tasks.metrics import MetricSpec, default_metrics

if TYPE_CHECKING:
    from torch import nn

    from lrtool.tasks.sources import Batch

#: Samples of the batch that model, loss and metrics are tried on.
_PROBE = 8


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
    _check_batch_size(data, loaded)
    if loss is not None:
        loss.check(loaded.shape)

    def new_model() -> nn.Module:
        return model.build(loaded.shape, context)

    batch, output = _probe(new_model, data, loaded)
    loss = _choose_loss(loss, output, loaded)
    if loss is not None:
        _check_fit(loss, output, batch, loaded)
    function = _build_loss(loss, output, batch, context)
    if metrics is None:
        metrics = default_metrics(loaded.shape) if loss is not None else ()
    built = _build_metrics(metrics, output, batch, context)
    return Task(name, new_model, loaded.train, loaded.val, data.batch_size, function, built)


def _check_batch_size(data: Dataset, loaded: Data) -> None:
    if len(loaded.train) == 0:
        raise TaskError("there are no training samples", where="data", remedy="give at least one")
    if data.batch_size > len(loaded.train):
        raise UsageError(
            f"a batch of {data.batch_size} does not fit {len(loaded.train)} training samples",
            where="data.batch_size",
            remedy=f"write at most {len(loaded.train)}",
        )


def _probe(new_model: Any, data: Dataset, loaded: Data) -> tuple[Batch, Any]:
    """A small batch and what a fresh model says of it."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        with guarded("building the model", "model"):
            model = new_model()
        if not isinstance(model, nn.Module):
            raise TaskError(f"the model is {describe(model)}, not an nn.Module", where="model")
        batch = loaded.train.take(torch.arange(min(data.batch_size, _PROBE)))
        inputs = batch.inputs.values() if hasattr(batch.inputs, "values") else batch.inputs
        shapes = ", ".join(describe(part) for part in inputs)
        remedy = "make the model take a batch of such inputs (the first number is the batch's size)"
        with guarded(f"the model's forward pass (inputs: {shapes})", "model", remedy):
            return batch, batch.forward(model)


def _choose_loss(loss: Loss | None, output: Any, loaded: Data) -> Loss | None:
    if loss is not None:
        return loss
    return None if own_loss(output) is not None else default_loss(loaded.shape)


def _check_fit(loss: Loss, output: Any, batch: Batch, loaded: Data) -> None:
    """The loss against the model's output and the targets: this batch, and all those in memory."""
    from lrtool.tasks.sources import TensorSource

    loss.check_batch(output, batch.target)
    for source in (loaded.train, loaded.val):
        if isinstance(source, TensorSource):
            loss.check_targets(output, source.target)


def _build_loss(loss: Loss | None, output: Any, batch: Batch, context: BuildContext) -> LossFunction | None:
    """The loss function (None where the model has its own), after a try on the batch."""
    function = loss.build(context) if loss is not None else None
    with guarded("the loss", "loss"):
        value = function(output, batch.target) if function is not None else own_loss(output)
    check_loss(value)
    return function


def _build_metrics(
    metrics: Sequence[MetricSpec], output: Any, batch: Batch, context: BuildContext
) -> dict[str, Metric]:
    """The metrics by name, after a try on the batch."""
    import torch

    built: dict[str, Metric] = {}
    for spec in metrics:
        metric = spec.build(context)
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
