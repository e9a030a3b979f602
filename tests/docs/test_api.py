"""The page of the API and the notebook: every example runs, as does every cell."""

import ast
import doctest
import inspect
import json
from pathlib import Path

import pytest

import lrtool

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = DOCS / "quickstart.ipynb"


def test_every_example_of_the_page_is_a_docstrings():
    """All of those run, in tests/test_doctests.py."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    shown = [part.partition("\n```")[0] for part in text.split("```pycon\n")[1:]]
    functions = [getattr(lrtool, name) for name in lrtool.__all__]
    assert len(shown) >= len(functions) and ">>>" not in "".join(text.split("```pycon\n")[0])
    told = "\n\n".join(inspect.getdoc(function) for function in functions)
    assert [example for example in shown if example not in told] == []
    for function in functions:
        assert doctest.DocTestFinder(recurse=False).find(function)[0].examples


def test_every_function_has_an_example():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    for name in lrtool.__all__:
        section = text.partition(f"\n## `lrtool.{name}`\n")[2].partition("\n## ")[0]
        assert f"lrtool.{name}(" in section.partition("```pycon")[2], name


@pytest.mark.slow
def test_the_notebook_runs(capsys):
    """Each code cell in one namespace, in order; what a cell ends with is shown as a notebook shows it."""
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4 and not any(cell.get("outputs") for cell in document["cells"])
    names, shown = {"__name__": "__main__"}, []
    for number, cell in enumerate(document["cells"]):
        if cell["cell_type"] == "code":
            shown.append(run("".join(cell["source"]), names, f"cell {number}"))
    html = [each for each in shown if isinstance(each, str) and each.startswith("<div>")]
    assert len(html) == 5 and all('<img alt="' in each for each in html)
    assert shown[-1] is True
    assert "\x1b" not in capsys.readouterr().err


def run(source, names, label):
    """What the last expression of a cell shows: its HTML where it has some."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, label, "exec"), names)
    if last is None:
        return None
    value = eval(compile(ast.Expression(last.value), label, "eval"), names)
    return value._repr_html_() if hasattr(value, "_repr_html_") else value
