"""A config made of a user's own objects, with settings in place of a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SerializeAsAny, ValidationError

from lrtool import optimizers
from lrtool.config.document import Document
from lrtool.config.load import config_error
from lrtool.config.schema import Config
from lrtool.config.settings import RangeTestSettings, TrainSettings
from lrtool.config.specs import ScheduleLike, as_schedule
from lrtool.errors import UsageError, nearest
from lrtool.live.optimizer import LiveOptimizer
from lrtool.live.specs import LiveData, LiveLoss, LiveModel
from lrtool.optimizers import Optimizer
from lrtool.tasks.datasets.use import UseData

#: Settings that stand at the top of a config.
_TOP = ("name", "seed", "metrics", "plateau", "schedules")
#: Settings of the data that an argument is for.
_DATA = tuple(name for name in UseData.model_fields if name not in ("kind", "use", "args"))
_SECTIONS: Mapping[str, type[BaseModel]] = {"range_test": RangeTestSettings, "train": TrainSettings}


class LiveConfig(Config):
    """A config whose optimizer may be one that no file can name."""

    optimizer: SerializeAsAny[Optimizer]


def sorted_settings(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings by the section of a config that they belong to ("" for the top); UsageError for an unknown one."""
    homes: dict[str, str] = {**dict.fromkeys(_TOP, ""), **dict.fromkeys(_DATA, "data")}
    for section, cls in _SECTIONS.items():
        homes.update(dict.fromkeys(cls.model_fields, section))
    found: dict[str, dict[str, Any]] = {"": {}, "data": {}, **{section: {} for section in _SECTIONS}}
    for name, value in settings.items():
        if name not in homes:
            raise UsageError(f"there is no setting {name!r}", where=name, remedy=nearest(name, homes))
        if value is not None:
            found[homes[name]][name] = value
    return found


def live_config(
    model: LiveModel,
    data: LiveData,
    optimizer: Any,
    loss: Any = None,
    schedule: ScheduleLike | None = None,
    device: str = "auto",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> LiveConfig:
    """A checked config; `settings` by section, as `sorted_settings` gives them.

    `optimizer`: a LiveOptimizer, or whatever a config may have there, where an LR may be left out. Raises ConfigError
    with all that is wrong.
    """
    given = settings or {}
    live = optimizer if isinstance(optimizer, LiveOptimizer) else None
    document: dict[str, Any] = {
        "name": model.use.rpartition(":")[2].rpartition(".")[2].lower(),
        **given.get("", {}),
        "device": device,
        "model": model,
        "data": data,
        "optimizer": {"kind": "sgd", "lr": live.lr} if live is not None else with_lr(optimizer),
        **{section: dict(given.get(section, {})) for section in _SECTIONS},
    }
    if loss is not None:
        document["loss"] = LiveLoss.of(loss) if callable(loss) else loss
    if schedule is not None:
        document["schedule"] = as_schedule(schedule)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise config_error(error, Document(document)) from None
    values = {name: getattr(config, name) for name in Config.model_fields}
    if live is not None:
        values["optimizer"] = live
    return LiveConfig.model_construct(None, **values).beside(Path.cwd(), False)


def with_lr(optimizer: Any) -> Any:
    """An optimizer's specification with an LR to begin from, where it says none; a test finds it anyway."""
    if isinstance(optimizer, str):
        optimizer = {"kind": optimizer}
    if not isinstance(optimizer, Mapping) or "lr" in optimizer or not isinstance(optimizer.get("kind"), str):
        return optimizer
    return {"lr": optimizers.KINDS[optimizer["kind"]].starting["lr"], **optimizer}


def checked_spec(optimizer: Any) -> Optimizer:
    """A specification that stands by itself; ConfigError where it is none."""
    document = {"model": "linear", "data": "digits", "optimizer": with_lr(optimizer)}
    try:
        return Config.model_validate(document).optimizer
    except ValidationError as error:
        raise config_error(error, Document(document)) from None
