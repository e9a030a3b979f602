"""A page as one HTML file: nothing is loaded from elsewhere, and no script runs but those that lrtool brings."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from string import Template

import lrtool
from lrtool.report.html.document import document
from lrtool.report.html.page import Page, run_rows
from lrtool.report.html.tables import key_table, recipes, standings, table, text
from lrtool.runs.atomic import finite

_ASSETS = files("lrtool.report.html") / "assets"
#: The script, in the order in which its parts are put together.
_PARTS = ("data", "theme", "chart", "curves", "lr", "response", "heat", "parallel", "tables", "trials", "main")


def render(page: Page) -> str:
    """The whole file."""
    script = f'(() => {{\n"use strict";\n{"".join(_asset(f"js/{name}.js") for name in _PARTS)}}})();\n'
    library, style = _asset("echarts/echarts.min.js"), _asset("style.css")
    return Template(_asset("template.html")).substitute(
        policy=_policy([library, script], style), style=style, library=library, script=script,
        title=text(page.title), made=text(page.made), version=text(lrtool.__version__), headline=text(page.answers[0]),
        answers=_list(page.answers[1:], "answers"), notes=_list(page.notes, "notes"),
        data=_json(page), tables=_tables(page),
    )  # fmt: skip


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _policy(scripts: list[str], style: str) -> str:
    """What the browser may do: run these scripts, use this style, and nothing else."""
    allowed = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_digest(style)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _json(page: Page) -> str:
    """JSON that cannot end the element it stands in, whatever names are in it."""
    dumped = json.dumps(finite(document(page)), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return dumped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _list(sentences: list[str] | tuple[str, ...] | object, name: str) -> str:
    assert isinstance(sentences, list | tuple)
    items = "".join(f"<li>{text(each)}</li>" for each in sentences)
    return f'<ul class="{name}">{items}</ul>' if items else ""


def _tables(page: Page) -> str:
    """The sections that need no script."""
    rows = run_rows(page.runs)
    same, differing = page.environment
    several = len(page.runs) > 1
    config = "Config keys that differ between runs" if several else "The config"
    sections = (
        ("standings", "Comparison", standings(page.comparison)),
        ("runs", "Runs", table("Runs in this report", list(rows[0]), ([*row.values()] for row in rows))),
        ("config", "Config differences" if several else "Config", key_table(config, page.differences)),
        ("environment", "Environment", key_table("The same in all runs", same) + key_table("What differs", differing)),
        ("commands", "Commands to reproduce", recipes(page.recipes)),
    )
    return "".join(
        f'<section id="{name}"><h2>{title}</h2>{content}</section>' for name, title, content in sections if content
    )
