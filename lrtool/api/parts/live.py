"""A user's own objects made ready to be trained, each kind in its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrtool.api.parts.asked import Asked, Objects
from lrtool.errors import UsageError

if TYPE_CHECKING:
    from lrtool.live.specs import LiveData, LiveModel

#: What trains where no optimizer is named.
_OPTIMIZER = "adamw"


@contextmanager
def of_module(objects: Objects, engine: str) -> Iterator[Asked]:
    """A module that is there: every trial begins at its present weights, and it is left as it was."""
    from lrtool.live.preserved import preserved
    from lrtool.live.tested import repeated
    from lrtool.live.wrappers import bare_model

    model = bare_model(objects.model)
    optimizer = _instance(objects, model)
    loss = objects.loss if callable(objects.loss) else None
    with preserved(model, optimizer, loss, (objects.data, objects.val), objects.preserve, objects.keep) as state:
        chosen = optimizer if optimizer is not None else _specified(objects)
        live, trained_by = repeated(model, chosen, state)
        yield _ready(objects, engine, live, trained_by, model, optimizer)


@contextmanager
def of_factory(objects: Objects, engine: str) -> Iterator[Asked]:
    """A function that makes models: every trial trains a fresh one."""
    from torch import nn
    from torch.optim import Optimizer

    from lrtool.live.optimizer import LiveOptimizer
    from lrtool.live.preserved import preserved
    from lrtool.live.specs import LiveModel
    from lrtool.live.wrappers import bare_model
    from lrtool.tasks.failures import guarded

    if isinstance(objects.optimizer, Optimizer):
        raise UsageError(
            "an optimizer that is there belongs to one model, but a function makes many",
            where="optimizer",
            remedy="pass a name ('adamw'), a mapping, or a function: lambda parameters: Own(parameters, lr=0.1)",
        )
    with preserved(loss=objects.loss, data=(objects.data, objects.val), others=objects.preserve, keep=objects.keep):
        with guarded("the model function", "model"):
            example = objects.model()
        if not isinstance(example, nn.Module):
            got = type(example).__name__
            raise UsageError(
                f"the model function gave {got}, not an nn.Module", where="model", remedy="return a module"
            )
        chosen = _specified(objects)
        if callable(chosen):
            chosen = LiveOptimizer.made_by(chosen, bare_model(example))
        yield _ready(objects, engine, LiveModel.of(objects.model, objects.model), chosen, example, None)


@contextmanager
def of_trained(objects: Objects, engine: str) -> Iterator[Asked]:
    """A module that is to be trained for good, from its present weights."""
    from lrtool.live.optimizer import LiveOptimizer
    from lrtool.live.preserved import preserved
    from lrtool.live.specs import LiveModel
    from lrtool.live.wrappers import bare_model

    model = bare_model(objects.model)
    optimizer = _instance(objects, model)
    with preserved(data=(objects.data, objects.val), others=objects.preserve, keep=objects.keep):
        chosen = LiveOptimizer.of(optimizer) if optimizer is not None else _specified(objects)
        if callable(chosen):
            chosen = LiveOptimizer.made_by(chosen, model)
        yield _ready(objects, engine, LiveModel.of(lambda: model, model), chosen, model, optimizer)


def _ready(objects: Objects, engine: str, model: LiveModel, chosen: Any, example: Any, optimizer: Any) -> Asked:
    from lrtool.engine.trials import EngineName
    from lrtool.experiments.engines import Engines
    from lrtool.experiments.setup import prepare
    from lrtool.live.config import live_config, sorted_settings
    from lrtool.live.optimizer import group_scales
    from lrtool.live.specs import LiveData
    from lrtool.live.wrappers import device_of

    settings = sorted_settings({**objects.settings, "seed": objects.seed})
    data: LiveData = LiveData.of(objects.data, objects.val, **settings.pop("data"))
    device = device_of(example)
    config = live_config(model, data, chosen, objects.loss, objects.schedule, device, settings)
    scales = tuple(group_scales(optimizer)) if optimizer is not None else ()
    # Nothing of a user's own is shared with other processes: they could not tell him what they did to it.
    engines = Engines(EngineName.parse(engine), forks=False)
    return Asked(replace(prepare(config), lent=True), engines, scales, lambda: model.latest, optimizer, data.notes)


def _instance(objects: Objects, model: Any) -> Any:
    """The torch optimizer that was given for this model; None where it is made from something else."""
    from torch.optim import Optimizer

    from lrtool.live.wrappers import bare_optimizer, check_belongs

    given = objects.optimizer
    if callable(given) and not isinstance(given, Optimizer):
        given = given([p for p in model.parameters() if p.requires_grad])
    if not isinstance(given, Optimizer):
        return None
    given = bare_optimizer(given)
    check_belongs(given, model)
    return given


def _specified(objects: Objects) -> Any:
    return _OPTIMIZER if objects.optimizer is None else objects.optimizer
