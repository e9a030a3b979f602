import math

import pytest

from lrtool.config.document import parse_document, parse_value, read_document
from lrtool.config.problems import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E3", 1e3),
        ("-.5", -0.5),
        ("5.", 5.0),
        (".inf", math.inf),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("010", 10),
        ("0x1F", 31),
        ("12:30", "12:30"),
        ("2001-01-01", "2001-01-01"),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("[1, 2e1]", [1, 20.0]),
    ],
)
def test_plain_values_are_what_they_look_like(text, value):
    assert parse_value(text, "--set x") == value
    assert type(parse_value(text, "--set x")) is type(value)


def test_every_key_and_item_has_its_place():
    document = parse_document("a: 1\nb:\n  c: [10, {d: 2}]\n", "f.yaml")
    assert str(document.place(("a",))) == "f.yaml:1:1"
    assert str(document.place(("b", "c"))) == "f.yaml:3:3"
    assert str(document.place(("b", "c", 0))) == "f.yaml:3:7"
    assert str(document.place(("b", "c", 1, "d"))) == "f.yaml:3:12"
    assert str(document.place(("b", "missing"))) == "f.yaml:2:1"


def test_repeated_keys_are_all_reported():
    with pytest.raises(ConfigError) as caught:
        parse_document("a: 1\nb: {c: 1, c: 2}\na: 3\n", "f.yaml")
    assert [problem.place for problem in caught.value.problems] == ["f.yaml:2:11", "f.yaml:3:1"]
    assert "the first is on line 1" in str(caught.value)


def test_anchors_and_merge_keys_work():
    document = parse_document("base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\n", "f.yaml")
    assert document.data["other"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: 1\n", "f.yaml:2:1", "indent with spaces"),
        ("a: [1, 2\n", "f.yaml:1:4", "the bracket that opens here is never closed"),
        ("a: 1\nb: 'x\nc: 2\n", "f.yaml:2:4", "the quote that opens here is never closed"),
        ("a: 1\nb:2\nc: 3\n", "f.yaml:2:1", "a space after the colon"),
        ("a: x\n  b: 1\n", "f.yaml:2:4", "check the indentation"),
        ("a: [1, }]\n", "f.yaml:1:8", "this is not YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "f.yaml:1:4", "tags are not allowed"),
        ("", "f.yaml", "the config is empty"),
        ("# nothing\n", "f.yaml", "the config is empty"),
        ("- a\n- b\n", "f.yaml:1:1", "a mapping of keys to values"),
        ("3\n", "f.yaml:1:1", "a mapping of keys to values"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1", "not YAML"),
        ("a: 1\nb: !!bool maybe\n", "f.yaml:2:4", "this is no bool"),
        ("a: 1\nb: !!float x\n", "f.yaml:2:4", "this is no float"),
        ("a: 1\nb: !!float ''\n", "f.yaml:2:4", "this is no float"),
        ("a: 1\nb: !!int x\n", "f.yaml:2:4", "this is no whole number"),
        ("a: 1\nb: " + "9" * 5000 + "\n", "f.yaml:2:4", "a number of 5000 digits is too long"),
    ],
)
def test_text_that_is_no_config_says_where_and_why(text, place, words):
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "f.yaml")
    assert str(caught.value).startswith(place)
    assert words in str(caught.value)


def test_files_that_cannot_be_read_say_why(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no such file.*lrtool init"):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_document(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: Zürich".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_document(tmp_path / "latin.yaml")
