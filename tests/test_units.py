import json
import math

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from lrtool.units import MOST_UPDATES, Duration, Level, PerUpdate, number, whole


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
    with pytest.raises(ValueError, match=r"whole number of updates \(500\), epochs \('5ep'\), part of the run"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("text", "updates", "written"),
    [
        ("1M samples", 15625, "1M samples"),
        ("300k samples", 4688, "300k samples"),
        ("0.3M samples", 4688, "300k samples"),
        ("6400 samples", 100, "6.4k samples"),
        ("1 sample", 0, "1 samples"),
        ("10B tokens", 9765625, "10B tokens"),
        ("2.5T tokens", 2441406250, "2.5T tokens"),
        (" 65536tokens ", 64, "65.536k tokens"),
    ],
)
def test_samples_and_tokens_are_updates_once_an_updates_are_known(text, updates, written):
    duration = Duration.parse(text).counted(PerUpdate(samples=64, tokens=1024))
    assert (duration.steps(), duration.written()) == (updates, written)
    assert Duration.parse(written) == duration


@pytest.mark.parametrize("text", ["1m samples", "k samples", "3 words", "-1 samples", "1 Msample s", "tokens"])
def test_what_is_no_number_of_samples_is_refused(text):
    with pytest.raises(ValueError, match="'300k samples' or '10B tokens', but got"):
        Duration.parse(text)


def test_a_duration_needs_what_it_counts():
    with pytest.raises(ValueError, match="'5ep' counts epochs, but the steps per epoch are unknown"):
        Duration.parse("5ep").steps(total=100)
    with pytest.raises(ValueError, match="'10%' is a part of the run, but the run's length is unknown"):
        Duration.parse("10%").steps(per_epoch=10)
    for text in ("1M samples", "1M tokens"):
        with pytest.raises(ValueError, match=f"'{text}' counts .* unknown here.*; give a number of updates"):
            Duration.parse(text).steps(total=100, per_epoch=10)


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


@pytest.mark.parametrize(
    "fields",
    [{"duration": 5, "level": 0.1}, {"duration": "5ep", "level": "10%"}, {"duration": "1M samples", "level": 0.0}],
)
def test_a_model_gives_back_what_was_written(fields):
    model = Fields(**fields)
    assert json.loads(model.model_dump_json()) == fields
    assert Fields.model_validate_json(model.model_dump_json()) == model
    with pytest.raises(ValidationError, match="duration"):
        Fields(duration=-1, level=0)


def test_json_schema_has_examples():
    schema = TypeAdapter(Fields).json_schema()["properties"]
    assert schema["duration"]["examples"] == [500, "5ep", "10%", "1M samples", "10B tokens"]
    assert schema["level"]["examples"] == [1e-5, "1%"]


@pytest.mark.parametrize(
    ("text", "total", "steps"),
    [("5%", 10, 1), ("4.9%", 10, 0), ("15%", 10, 2), ("25%", 10, 3), ("29%", 50, 15), ("50%", 1, 1), ("0.5%", 100, 1)],
)
def test_halves_are_rounded_up_from_what_was_written(text, total, steps):
    assert Duration.parse(text).steps(total=total) == steps
    assert Duration.parse(f"{float(text[:-1]) / 100:.12g}ep").steps(per_epoch=total) == steps


BEYOND = ["1e400", "1e400%", "1e400ep", "-1e400%", "1e300ep", 10**400, 16**6000, 2**53 + 2, "9" * 5000, 1e300]
ODD = [
    "５%",
    "５",
    "²",
    "1_000",
    "1_0%",
    "",
    " ",
    "%",
    "ep",
    "0x10",
    "nan",
    "nan%",
    "inf",
    "infep",
    "1e",
    "1e5e5%",
    "5 %%",
]


@pytest.mark.parametrize(
    "value", [*BEYOND, *ODD, True, False, [], [5], {}, ("5%",), b"5%", object()], ids=lambda _: "value"
)
def test_what_is_no_duration_is_refused_in_a_short_line(value):
    with pytest.raises(ValueError, match="a duration is a whole number of updates") as caught:
        Duration.parse(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "value", ["1e400", "1e400%", "-1e400", 10**400, 16**6000, *ODD, True, [], [1], {}, b"1"], ids=lambda _: "value"
)
def test_what_is_no_level_is_refused_in_a_short_line(value):
    with pytest.raises(ValueError, match="a level is a number of at least 0") as caught:
        Level.parse(value)
    assert len(str(caught.value)) < 200


def test_more_updates_than_can_be_counted_are_refused():
    with pytest.raises(ValueError, match=r"more than 9,007,199,254,740,992 updates"):
        Duration.parse("1e15ep").steps(per_epoch=100)
    with pytest.raises(ValueError, match="cannot be counted"):
        Duration.parse("1e15%").steps(total=10**9)
    assert Duration.parse(MOST_UPDATES).steps() == MOST_UPDATES


def test_numbers_that_a_plain_yaml_reader_gives_as_text():
    assert Level.parse("1e-5") == Level(1e-5) and Level.parse(" .5 ") == Level(0.5)
    assert Duration.parse("1e3") == Duration(1000) and Duration.parse("500.0") == Duration(500)
    assert number("+1E-3") == 1e-3 and whole("1e3") == 1000 and whole("0.5") is None


def test_a_level_above_the_peak_by_rounding_is_the_peak():
    assert Level(math.nextafter(0.1, 1)).fraction(0.1) == 1.0 and Level(0.3).fraction(0.1 + 0.2 - 1e-16) == 1.0
    assert Level.parse("100.00000001%").fraction(0.1) == 1.0
    assert Level(0.1001).fraction(0.1) > 1


@pytest.mark.parametrize("amount", [0.1, 100 / 3, 1e-7, 12.5, 1e10, 5e-324])
def test_what_is_written_reads_back_the_same(amount):
    for unit in ("epochs", "percent"):
        assert Duration.parse(Duration(amount, unit).written()) == Duration(amount, unit)
    assert Level.parse(Level(amount, True).written()) == Level(amount, True)
