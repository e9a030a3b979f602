import json

import pytest
from pydantic import ValidationError

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


@pytest.mark.parametrize("written", ["auto", 0, 500, "5ep", "10%"])
def test_checkpoints_come_as_written_and_stay_so_in_the_resolved_config(written):
    train = TrainSettings(checkpoint_every=written)
    assert train.model_dump(mode="json")["checkpoint_every"] == written
    assert TrainSettings(**train.model_dump(mode="json")) == train
    assert json.loads(train.model_dump_json())["checkpoint_every"] == written


def test_checkpoints_are_left_to_lrtool_unless_said():
    assert TrainSettings().checkpoint_every == "auto"
    described = json_schema()["$defs"]["TrainSettings"]["properties"]["checkpoint_every"]
    assert described["default"] == "auto" and {"const": "auto", "type": "string"} in described["anyOf"]
    assert "2% of the time" in described["description"]


@pytest.mark.parametrize("written", ["Auto", "never", "1s", -1, 1.5, True, None, ["1ep"], {"every": 5}])
def test_what_checkpoints_cannot_be_is_explained(written):
    with pytest.raises(ValidationError, match="auto or a duration, but got") as caught:
        TrainSettings(checkpoint_every=written)
    assert caught.value.error_count() == 1 and "write auto, 500 (updates), '5ep'" in str(caught.value)


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
