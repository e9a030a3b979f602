"""Configs name models, data, losses and metrics by kind; each has a JSON schema with described fields."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from lrtool.registry import Registry
from lrtool.tasks import datasets, losses, metrics, models

REGISTRIES = [models.KINDS, datasets.KINDS, losses.KINDS, metrics.KINDS]
CLASSES = [cls for registry in REGISTRIES for cls in registry.kinds.values()]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.noun)
def test_every_kind_has_a_json_schema_and_a_short_form(registry: Registry[Any]) -> None:
    adapter = TypeAdapter(registry.annotation())
    assert adapter.json_schema()
    used = adapter.validate_python({"use": "own.py:Thing", "args": {"a": 1}})
    assert (used.kind, used.use, used.args) == ("use", "own.py:Thing", {"a": 1})
    again = adapter.validate_json(adapter.dump_json(used))
    assert again == used


def test_a_bare_name_is_a_kind() -> None:
    assert TypeAdapter(losses.KINDS.annotation()).validate_python("mse") == losses.KINDS["mse"]()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_and_field_says_what_it_is(cls: type[Any]) -> None:
    assert cls.__doc__
    undescribed = [name for name, field in cls.model_fields.items() if name != "kind" and not field.description]
    assert not undescribed
