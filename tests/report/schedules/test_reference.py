"""The generated reference of the schedules; the page that is made of it: tests/docs."""

import pytest

from lrtool.report.schedules.reference import entry, table
from lrtool.report.schedules.text import explained, spark
from lrtool.schedules import KINDS


def test_the_table_has_every_kind_and_whole_rows():
    rows = table().splitlines()
    assert [row.split("|")[1].strip(" `") for row in rows[2:]] == list(KINDS.kinds)
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1


@pytest.mark.parametrize("kind", KINDS.kinds)
def test_every_kind_is_explained_in_full(kind):
    found, text = entry(kind), " ".join(explained(kind).split())
    for part in (found.summary, found.formula, found.details, found.source, found.helps, found.hurts):
        assert part
        assert " ".join(part.split()) in text
    for field in found.fields:
        assert f"{field.name} {field.default}" in text
        assert " ".join(field.description.split()) in text
    for each in found.elsewhere:
        assert " ".join(each.theirs.split()) in text
    assert max(map(len, explained(kind, 80).splitlines())) <= 160


def test_defaults_are_written_as_in_yaml():
    defaults = {field.name: field.default for field in entry("cyclical").fields}
    assert defaults["step_size_up"] == "10%"
    assert defaults["step_size_down"] == "unset"
    assert defaults["cycle_momentum"] == "true"
    assert defaults["warmup"] == "0"
    assert {field.name: field.default for field in entry("table").fields}["file"] == "required"
    assert [field.name for field in entry("cosine").fields][-7:] == [
        "duration", "warmup", "warmup_start", "warmup_shape", "warmup_progress", "warmup_overlaps", "hold",
    ]  # fmt: skip


def test_sparklines_show_the_shape():
    assert spark("constant") == "█" * 24
    assert spark("linear")[0] == "█"
    assert spark("linear")[-1] == "▁"
    assert spark("table") == "(from a file)"
