"""The generated pages: up to date, whole, and made without torch."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from lrtool.cli.app import app
from lrtool.config.schema import json_schema
from lrtool.config.sweep.schema import sweep_schema
from lrtool.errors import UsageError
from lrtool.report.schedules.reference import table

DOCS = Path(__file__).parents[2] / "docs"
generate = SimpleNamespace(**runpy.run_path(str(DOCS / "generate.py")))
BEGIN, END, updated = generate.BEGIN, generate.END, generate.updated


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_page_is_up_to_date(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    assert updated(text, generate.PAGES[name]()) == text, "run: make docs"


def test_updating_replaces_what_is_between_the_markers():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert updated(text, table()) == f"before\n{BEGIN}\n\n{table()}\n{END}\nafter\n"
    assert updated(updated(text, table()), table()) == updated(text, table())


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}\n{BEGIN}"])
def test_missing_markers_are_an_error(text):
    with pytest.raises(UsageError, match=r"markers.*missing; add the lines"):
        updated(text, "")


def test_main_rewrites_stale_pages_and_check_only_says_so(tmp_path, capsys):
    for name in generate.PAGES:
        (tmp_path / name).write_text(f"{BEGIN}\n{END}\n")
    assert generate.main(["--check"], tmp_path) == 1
    assert (tmp_path / "config.md").read_text() == f"{BEGIN}\n{END}\n"
    assert all(f"{name} is out of date; run: make docs" in capsys.readouterr().err for name in ["schedules.md"])
    assert generate.main([], tmp_path) == 0
    assert table() in (tmp_path / "schedules.md").read_text()
    assert generate.main(["--check"], tmp_path) == 0


def test_pages_are_made_without_torch():
    code = (
        "import runpy, sys; pages = runpy.run_path('docs/generate.py')['PAGES'];"
        "[page() for page in pages.values()]; assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=DOCS.parent, check=True)


def commands(command, words=("lrtool",)):
    """Every command that can be called, by its words: walked here once more, not by the generator."""
    for name, each in command.commands.items():
        if hasattr(each, "commands"):
            yield from commands(each, (*words, name))
        else:
            yield " ".join([*words, name]), each


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_there_are_the_commands_that_are_known():
    known = ["range-test", "train", "tune", "sweep", "compare", "init", "check", "schema", "doctor"]
    assert {f"lrtool {name}" for name in known} <= COMMANDS.keys()
    assert "lrtool schedule export" in COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_the_reference_with_every_option(name):
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    assert section, f"{name} is missing"
    rows = [[cell.strip(" `") for cell in row[1:-1].split(" | ")] for row in section.splitlines() if row[:2] == "| "]
    for parameter in COMMANDS[name].params:
        named = [means for names, means, _ in rows if belongs(names, parameter)]
        assert named == [in_a_cell(parameter.help)] != [""], parameter.name


def belongs(names, parameter):
    """Whether a row's first cell is that of an argument or option."""
    if parameter.param_type_name == "argument":
        return names == in_a_cell(parameter.metavar)
    return set(parameter.opts) <= set(names.replace(",", "").split())


def in_a_cell(text):
    """A text as a cell of a Markdown table has it."""
    return " ".join(text.split()).replace("|", "\\|")


@pytest.mark.parametrize("schema", [json_schema(), sweep_schema()], ids=["config", "sweep"])
def test_every_key_stands_in_the_config_reference(schema):
    """Keys of the JSON schema, which knows nothing of the generator; those of schedules have a page of their own."""
    pages = [(DOCS / name).read_text(encoding="utf-8") for name in ("config.md", "schedules.md")]
    told = {line.split("`")[1] for page in pages for line in page.splitlines() if line.startswith("| `")}
    keys = set(schema["properties"]).union(*(each.get("properties", {}) for each in schema["$defs"].values()))
    assert keys - told <= {"kind", "extends"}
    kinds = {
        each["properties"]["kind"].get("const")
        for each in schema["$defs"].values()
        if "kind" in each.get("properties", {})
    }
    assert all(any(f"# `{kind}`\n" in page for page in pages) for kind in kinds - {None})


def test_no_type_is_left_unsaid():
    """A new shape of field would come out as `any value`, or raise."""
    assert "| any value |" not in (DOCS / "config.md").read_text(encoding="utf-8")
