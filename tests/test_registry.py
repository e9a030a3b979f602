import pytest
from pydantic import TypeAdapter, ValidationError

from lrtool.errors import UsageError
from lrtool.schedules import KINDS, Schedule
from lrtool.schedules.decays.cosine import Cosine


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
