import json

import pytest
from pydantic import ValidationError

from lrtool.errors import UsageError
from lrtool.runs.summary import read_summary, summary

ALWAYS = {"reason": "", "steps": 3, "seconds": 1.23456, "config_hash": "abc"}


def test_every_summary_has_the_keys_scripts_rely_on(tmp_path):
    document = summary("train", "finished", **ALWAYS, best={"step": 2, "val_loss": float("nan")})
    assert list(document)[:7] == ["schema", "command", "status", "reason", "steps", "seconds", "config_hash"]
    assert document["best"] == {"step": 2, "val_loss": None}
    (tmp_path / "s.json").write_text(json.dumps(document))
    assert read_summary(tmp_path / "s.json") == document


def test_a_suggestion_is_a_number_or_null():
    assert summary("range-test", "finished", **ALWAYS, suggested_lr=None)["suggested_lr"] is None
    assert summary("tune", "finished", **ALWAYS, suggested_lr=0.1, interval=[0.05, 0.2])["interval"] == [0.05, 0.2]
    with pytest.raises(ValidationError, match="suggested_lr"):
        summary("range-test", "finished", **ALWAYS, suggested_lr="0.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "no schema number"),
        ('{"schema": 2}', "schema 2, but this lrtool reads up to 1; update lrtool"),
        ('{"schema": 1, "command": "train"}', "damaged: status"),
    ],
)
def test_what_cannot_be_read_is_said_so(tmp_path, text, message):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_summary(tmp_path / "s.json")


def test_a_missing_summary_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="may still be going on"):
        read_summary(tmp_path / "s.json")
