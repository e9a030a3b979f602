import json

import pytest

from lrtool.config.schema import Config, json_schema
from lrtool.config.settings import RangeTestSettings, TrainSettings


def test_the_json_schema_is_json_and_describes_every_key():
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(Config.model_fields) < set(schema["properties"])
    for name, field in schema["properties"].items():
        # A section whose own description says the same stands as a bare reference.
        assert field.get("description") or "$ref" in field, name


def test_every_field_of_every_kind_is_described():
    for section, definition in json_schema()["$defs"].items():
        for name, field in definition.get("properties", {}).items():
            assert field.get("description") or name == "kind", f"{section}.{name}"


@pytest.mark.parametrize("settings", [TrainSettings, RangeTestSettings])
def test_settings_have_defaults_and_descriptions(settings):
    settings()
    assert all(field.description for field in settings.model_fields.values())


def test_unknown_keys_are_not_allowed_anywhere():
    schema = json_schema()
    sections = [each for each in schema["$defs"].values() if each.get("type") == "object"]
    assert schema["additionalProperties"] is False
    assert all(each["additionalProperties"] is False for each in sections)


def test_schedules_inside_schedules_are_described_as_the_outer_one_is():
    schema = json_schema()
    inner = {"$ref": "#/$defs/AnySchedule"}
    assert inner in [each.get("items") for each in schema["$defs"]["AnySchedule"]["anyOf"]]
    assert schema["$defs"]["Sequence"]["properties"]["segments"]["items"] == inner
    assert schema["$defs"]["Scaled"]["properties"]["schedule"]["$ref"] == inner["$ref"]
    assert schema["properties"]["schedules"]["additionalProperties"] == inner
