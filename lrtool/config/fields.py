"""Which class, field and kinds may stand at a path of a config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lrtool import optimizers, schedules
from lrtool.analysis.suggest import METHODS
from lrtool.config.document import Path_
from lrtool.config.schema import Config
from lrtool.loggers import LOGGERS
from lrtool.registry import Registry
from lrtool.tasks import datasets, losses, metrics, models

REGISTRIES: tuple[Registry[Any], ...] = (
    models.KINDS,
    datasets.KINDS,
    losses.KINDS,
    metrics.KINDS,
    optimizers.KINDS,
    schedules.KINDS,
    METHODS,
    LOGGERS,
)


def registry_of(classes: Iterable[type[BaseModel]]) -> Registry[Any] | None:
    """The registry that classes belong to, if any."""
    return next((each for each in REGISTRIES for cls in classes if issubclass(cls, each.base)), None)


def kind_of(value: Any) -> Any:
    """The kind that a section names, in whichever form: a name, `kind:`, or `use:`."""
    if isinstance(value, Mapping):
        return value.get("kind", "use" if "use" in value else None)
    return value


def classes_at(path: Path_, data: Any) -> tuple[type[BaseModel] | None, frozenset[type[BaseModel]]]:
    """The class whose fields may stand at a path, None where that is not known; and all that come into question."""
    model: type[BaseModel] | None = Config
    open_to: frozenset[type[BaseModel]] = frozenset({Config})
    here = data
    for part in path:
        here = child(here, part)
        if model is not None:
            field = model.model_fields.get(str(part))
            open_to = frozenset(_classes(field.annotation)) if field is not None else frozenset()
        model = _chosen(open_to, here)
    return model, open_to


def _chosen(classes: frozenset[type[BaseModel]], value: Any) -> type[BaseModel] | None:
    registry = registry_of(classes)
    if registry is None:
        return next(iter(classes)) if len(classes) == 1 and not isinstance(value, list) else None
    kind = kind_of(value)
    return registry.kinds.get(kind) if isinstance(kind, str) else None


def _classes(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return set().union(*(_classes(each) for each in get_args(annotation)))


def child(value: Any, part: str | int) -> Any:
    """What stands under a key or number; None where nothing does."""
    if isinstance(value, Mapping):
        return value.get(part)
    return value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None


def keys_of(section: str, data: Any) -> Iterable[str]:
    """The keys that may stand in a section of the config."""
    model, _ = classes_at((section,), data)
    return model.model_fields if model is not None else ()


def field_at(path: Path_, data: Any) -> FieldInfo | None:
    """The field that a path leads to; an item of a list is of the list's field."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    model, _ = classes_at(path[:-1], data)
    return model.model_fields.get(str(path[-1])) if model is not None and path else None


def value_at(data: Any, path: Path_) -> Any:
    """What stands at a path; None where nothing does."""
    for part in path:
        data = child(data, part)
    return data
