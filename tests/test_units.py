import json

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from lrtool.units import Duration, Level


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (0, 0),
        (500, 500),
        (500.0, 500),
        ("500", 500),
        ("5ep", 50),
        ("2.5 ep", 25),
        ("10%", 20),
        ("0.2%", 0),
        (" 100 % ", 200),
    ],
)
def test_durations(text, steps):
    assert Duration.parse(text).steps(total=200, per_epoch=10) == steps


@pytest.mark.parametrize("text", [-1, 1.5, "1.5", "-5%", "5 epochs", "", None, True, float("nan"), float("inf"), [5]])
def test_a_duration_is_whole_and_not_negative(text):
    with pytest.raises(ValueError, match=r"whole number of updates \(500\), epochs \('5ep'\) or a part"):
        Duration.parse(text)


def test_a_duration_needs_what_it_counts():
    with pytest.raises(ValueError, match="'5ep' counts epochs, but the steps per epoch are unknown"):
        Duration.parse("5ep").steps(total=100)
    with pytest.raises(ValueError, match="'10%' is a part of the run, but the run's length is unknown"):
        Duration.parse("10%").steps(per_epoch=10)


@pytest.mark.parametrize(("text", "fraction"), [(0.05, 0.5), ("1%", 0.01), ("1e-3%", 1e-5), (0, 0.0), (".5%", 0.005)])
def test_levels(text, fraction):
    assert Level.parse(text).fraction(peak=0.1) == pytest.approx(fraction, rel=1e-15)


@pytest.mark.parametrize("text", [-0.1, "-1%", "1", "1 percent", None, False, float("nan"), float("inf")])
def test_a_level_is_not_negative(text):
    with pytest.raises(ValueError, match=r"number of at least 0 \(1e-5\) or a part of the peak \('1%'\)"):
        Level.parse(text)


class Fields(BaseModel):
    duration: Duration
    level: Level


@pytest.mark.parametrize("fields", [{"duration": 5, "level": 0.1}, {"duration": "5ep", "level": "10%"}])
def test_a_model_gives_back_what_was_written(fields):
    model = Fields(**fields)
    assert json.loads(model.model_dump_json()) == fields
    assert Fields.model_validate_json(model.model_dump_json()) == model
    with pytest.raises(ValidationError, match="duration"):
        Fields(duration=-1, level=0)


def test_json_schema_has_examples():
    schema = TypeAdapter(Fields).json_schema()["properties"]
    assert schema["duration"]["examples"] == [500, "5ep", "10%"]
    assert schema["level"]["examples"] == [1e-5, "1%"]
