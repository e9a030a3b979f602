"""From specifications to a task: built, and checked by one forward pass on a small batch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.arranging import ModelMaker, arranged, balanced, is_lazy, numbered
from lrtool.tasks.base import BuildContext, Data, Dataset, LossFunction, Metric, Model, Task, own_loss
from lrtool.tasks.failures import guarded
from lrtool.tasks.losses import Loss, default_loss
from lrtool.tasks.losses.base import check_loss, describe
from lrtool.tasks.metrics import MetricSpec, default_metrics
from lrtool.tasks.outputs import Select, selected, selection, whole

if TYPE_CHECKING:
    from torch import nn

    from lrtool.tasks.sources import Batch

_LOG = logging.getLogger("lrtool")

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
    batch_size = loaded.batch_size or data.batch_size
    _check_batch_size(batch_size, loaded)
    if loss is not None:
        loss.check(loaded.shape)
    if loss is None or loss.kind == "cross_entropy":
        loaded = numbered(loaded)
    maker = ModelMaker(model, loaded.shape, context)
    batch, output, loaded = _probe(maker, batch_size, loaded)
    loss = _choose_loss(loss, output, loaded)
    select = _selection(model, loss, output)
    if loss is not None:
        loss = loss.fitted(loaded.train)
        _check_fit(loss, select(output), batch, loaded)
    function = _build_loss(loss, select, output, batch, context)
    built = _metrics(metrics, loss, select, output, batch, loaded, context)
    weights = balanced(loaded) if data.sampler == "balanced" else loaded.weights
    return Task(name, maker, loaded.train, loaded.val, batch_size, function, built, weights)


def _check_batch_size(batch_size: int, loaded: Data) -> None:
    if len(loaded.train) == 0:
        raise TaskError("there are no training samples", where="data", remedy="give at least one")
    if batch_size > len(loaded.train):
        raise UsageError(
            f"a batch of {batch_size} does not fit {len(loaded.train)} training samples",
            where="data.batch_size",
            remedy=f"write at most {len(loaded.train)}",
        )


def _probe(maker: ModelMaker, batch_size: int, loaded: Data) -> tuple[Batch, Any, Data]:
    """A small batch, what a fresh model says of it, and the data as the model takes them."""
    import torch
    from torch import nn

    index = torch.arange(min(batch_size, _PROBE))
    with torch.random.fork_rng(devices=[]):
        with guarded("building the model", "model"):
            model = maker.bare()
        if not isinstance(model, nn.Module):
            raise TaskError(f"the model is {describe(model)}, not an nn.Module", where="model")
        loaded = arranged(loaded, model)
        batch = loaded.train.take(index)
        if is_lazy(model):
            maker.example = batch
        inputs = batch.inputs.values() if hasattr(batch.inputs, "values") else batch.inputs
        shapes = ", ".join(describe(part) for part in inputs)
        remedy = _remedy(inputs, model)
        with guarded(f"the model's forward pass (inputs: {shapes})", "model", remedy):
            return batch, batch.forward(maker.formed(model)), loaded


def _remedy(inputs: Iterable[Any], model: nn.Module) -> str:
    """What to do where a model does not take these inputs."""
    own = next((each.dtype for each in model.parameters() if each.is_floating_point()), None)
    for each in inputs:
        if hasattr(each, "is_floating_point") and each.is_floating_point() and own is not None and each.dtype != own:
            given, wanted = (str(dtype).removeprefix("torch.") for dtype in (each.dtype, own))
            return f"the data are {given} and the model is {wanted}: return x.to(torch.{wanted}) from your data"
    return "make the model take a batch of such inputs (the first number is the batch's size)"


def _selection(model: Model, loss: Loss | None, output: Any) -> Select:
    """Where in the model's output the loss and the metrics look; a loss of the user's own gets all of it."""
    wanted = getattr(model, "output", None)
    if loss is None or (loss.kind == "use" and wanted is None):
        return whole
    return selection(output, wanted)


def _choose_loss(loss: Loss | None, output: Any, loaded: Data) -> Loss | None:
    """The loss that was asked for, none where the model has its own, else the default; one logit is for two classes."""
    if loss is not None:
        return loss
    if own_loss(output) is not None:
        return None
    alone = getattr(output, "ndim", 0) in (1, 2) and output.numel() == len(output)
    if loaded.shape.target == "class" and alone and loaded.shape.outputs <= 2:
        return default_loss(replace(loaded.shape, target="labels"))
    return default_loss(loaded.shape)


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
        return _build_metrics(specs, select, output, batch, context)
    if loss is None or loss.kind == "use":
        return {}
    built: dict[str, Metric] = {}
    for spec in default_metrics(loaded.shape, loss.kind):
        try:
            built |= _build_metrics([spec], select, output, batch, context)
        except TaskError as error:
            _LOG.info("no metric %s: %s", spec.kind, error)
    return built


def _build_metrics(
    metrics: Sequence[MetricSpec], select: Select, output: Any, batch: Batch, context: BuildContext
) -> dict[str, Metric]:
    """The metrics by name, after a try on the batch."""
    import torch

    built: dict[str, Metric] = {}
    for spec in metrics:
        metric = spec.build(context)
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
