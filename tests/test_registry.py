from typing import ClassVar

import pytest
from pydantic import TypeAdapter, ValidationError

from lrtool import optimizers
from lrtool.analysis.suggest import METHODS
from lrtool.errors import UsageError
from lrtool.executors import EXECUTORS
from lrtool.loggers import LOGGERS
from lrtool.registry import Registry
from lrtool.scanning import Scanned
from lrtool.schedules import KINDS, Schedule
from lrtool.schedules.decays.cosine import Cosine
from lrtool.tasks import datasets, losses, metrics, models

REGISTRIES = [
    *(models.KINDS, datasets.KINDS, losses.KINDS, metrics.KINDS, optimizers.KINDS),
    *(KINDS, METHODS, EXECUTORS, LOGGERS),
]


def test_kinds_are_found_in_the_package_and_sorted():
    assert KINDS["cosine"] is Cosine
    assert list(KINDS.kinds) == sorted(KINDS.kinds)
    assert all(
        issubclass(cls, Schedule) and cls.model_fields["kind"].default == kind for kind, cls in KINDS.kinds.items()
    )


@pytest.mark.parametrize(("kind", "remedy"), [("cosin", "did you mean 'cosine'?"), ("xyzzy", "choose one of: ")])
def test_unknown_kinds_get_a_hint(kind, remedy):
    with pytest.raises(UsageError, match=f"there is no schedule '{kind}'") as caught:
        KINDS[kind]
    assert caught.value.remedy.startswith(remedy)


def test_a_field_takes_a_name_a_mapping_or_an_object():
    field = TypeAdapter(KINDS.annotation())
    assert field.validate_python("cosine") == field.validate_python({"kind": "cosine"}) == Cosine()
    assert field.validate_python(Cosine(final=0.1)) == Cosine(final=0.1)


@pytest.mark.parametrize("value", [{"kind": "cosin"}, {}, 3, {"kind": "cosine", "finl": 0}])
def test_a_field_takes_nothing_else(value):
    with pytest.raises(ValidationError):
        TypeAdapter(KINDS.annotation()).validate_python(value)


def test_the_json_schema_shows_the_short_forms():
    forms = TypeAdapter(KINDS.annotation()).json_schema()["anyOf"]
    names = next(form["enum"] for form in forms if "enum" in form)
    assert "cosine" in names and "table" not in names  # a table needs its path
    assert any(form.get("type") == "array" for form in forms)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.noun)
def test_a_class_that_lacks_a_method_cannot_be_made_and_is_not_listed(registry):
    known, base = registry.kinds, registry.base
    lacking, *others = sorted(base.__abstractmethods__)
    named = "kind" if isinstance(registry, Registry) else "name"
    written = {each: lambda *_, **__: None for each in others}
    fields = {named: "lacking", "stackable": False, "__annotations__": {named: str, "stackable": ClassVar[bool]}}
    made = type(base)("Lacking", (base,), {"__module__": __name__, **fields, **written})
    with pytest.raises(TypeError, match=f"abstract.*{lacking}"):
        made(**{"lr": 0.1} if registry is optimizers.KINDS else {})
    with pytest.raises(TypeError, match=f"the {registry.noun} Lacking has no {lacking}"):
        Scanned.kinds.func(registry)
    assert registry.kinds is known and "lacking" not in known


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.noun)
def test_the_base_of_every_registry_has_abstract_methods(registry):
    assert registry.base.__abstractmethods__
    assert all(not cls.__abstractmethods__ for cls in registry.kinds.values())
