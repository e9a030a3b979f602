"""Every kind explains itself; that its examples run is tested for the whole package."""

import pytest

from lrtool import schedules

KINDS = schedules.KINDS.kinds


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_explains_itself(kind):
    cls = KINDS[kind]
    text = cls.__doc__
    assert "factor(d)" in text
    assert ">>>" in text
    assert "Source:" in text
    for sentence in (cls.helps, cls.hurts):
        assert sentence.endswith(".")
        assert len(sentence) > 30
    for name, field in cls.model_fields.items():
        assert name == "kind" or (field.description or "").endswith("."), name


def test_json_schema_of_a_config_field():
    from pydantic import TypeAdapter

    schema = TypeAdapter(schedules.KINDS.annotation()).json_schema()
    assert {each["properties"]["kind"]["const"] for each in schema["$defs"].values()} == set(KINDS)
