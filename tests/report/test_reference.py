"""The generated reference, and that README has its latest table."""

from pathlib import Path

import pytest

from lrtool.errors import UsageError
from lrtool.report import reference
from lrtool.report.reference import BEGIN, END, entry, table, updated
from lrtool.report.schedule_text import explained, spark
from lrtool.schedules import KINDS

README = Path(__file__).parents[2] / "README.md"


def test_readme_is_up_to_date():
    text = README.read_text(encoding="utf-8")
    assert updated(text) == text, "run: python -m lrtool.report.reference README.md"


def test_the_table_has_every_kind_and_whole_rows():
    rows = table().splitlines()
    assert [row.split("|")[1].strip(" `") for row in rows[2:]] == list(KINDS.kinds)
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1


def test_updating_replaces_what_is_between_the_markers():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert updated(text) == f"before\n{BEGIN}\n{table()}{END}\nafter\n"
    assert updated(updated(text)) == updated(text)


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}\n{BEGIN}"])
def test_missing_markers_are_an_error(text):
    with pytest.raises(UsageError, match=r"markers.*missing; add the lines"):
        updated(text)


def test_main_rewrites_a_file(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"{BEGIN}\n{END}\n")
    reference.main([str(file)])
    assert file.read_text() == f"{BEGIN}\n{table()}{END}\n"


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
    assert [field.name for field in entry("cosine").fields][-4:] == [
        "duration", "warmup", "warmup_start", "warmup_shape",
    ]  # fmt: skip


def test_sparklines_show_the_shape():
    assert spark("constant") == "█" * 24
    assert spark("linear")[0] == "█"
    assert spark("linear")[-1] == "▁"
    assert spark("table") == "(from a file)"
