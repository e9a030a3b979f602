"""The page of the API and the notebook: every example runs, as does every cell."""

import ast
import doctest
import json
from pathlib import Path

import pytest

import lrtool

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = DOCS / "quickstart.ipynb"


def test_every_example_of_the_page_runs():
    """Those in it are those of the docstrings; here they are run as they stand in the page."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    fenced = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    assert len(fenced) >= len(lrtool.__all__)
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    names = {}
    for number, code in enumerate(fenced):
        # What stands below an example goes on with it.
        test = parser.get_doctest(code, names, f"example {number}", "api.md", 0)
        assert runner.run(test, clear_globs=False).failed == 0
        names = test.globs


def test_every_function_has_an_example():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    for name in lrtool.__all__:
        section = text.partition(f"\n## `lrtool.{name}`\n")[2].partition("\n## ")[0]
        assert f"lrtool.{name}(" in section.partition("```python")[2], name


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
