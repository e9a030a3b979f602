"""A result as HTML for a notebook: plain, with everything in it, and no name of a user's taken for markup."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Rows that are shown; the table itself has all.
_MOST = 30


def page(answer: str, notes: Sequence[str], rows: Sequence[dict[str, Any]], figure: Figure | None) -> str:
    """The answer, what to know about it, the table and the plot.

    >>> page("a < b", [], [{"lr": 0.1}], None)[:21]
    '<div><p>a &lt; b</p><'
    """
    parts = [f"<p>{escape(answer)}</p>", *(f"<p>Note: {escape(note)}</p>" for note in notes), table(rows)]
    if figure is not None:
        from lrtool.report.plots.style import render

        data = base64.b64encode(render(figure, "png")).decode()
        parts.append(f'<img alt="{escape(answer)}" style="max-width:100%" src="data:image/png;base64,{data}">')
    return f"<div>{''.join(parts)}</div>"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as an HTML table, the first many of them."""
    if not rows:
        return ""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["".join(f"<th>{escape(str(head))}</th>" for head in heads)]
    lines += ["".join(f"<td>{escape(_cell(row.get(head)))}</td>" for head in heads) for row in rows[:_MOST]]
    more = f"<p>… and {len(rows) - _MOST} more rows</p>" if len(rows) > _MOST else ""
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>{more}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        from lrtool.report.plots.style import number

        return number(value)
    return str(value)
