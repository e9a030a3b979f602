"""The report's tables that need no script: every text is escaped here, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from lrtool.comparison.result import ComparisonResult
from lrtool.printable import printable
from lrtool.report.html.facts import KeyTable, Reproduction
from lrtool.report.plots.style import metric_name, number


def text(value: Any) -> str:
    """Any text of a run as HTML that only shows it."""
    return escape(printable(str(value), keep="\n"), quote=True)


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table whose columns can be sorted and whose rows can be filtered; numbers are set to the right."""
    head = "".join(f'<th scope="col"><button type="button">{text(each)}</button></th>' for each in heads)
    body = "".join(f"<tr>{''.join(_cell(cell, place) for place, cell in enumerate(row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table class="sortable">'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Any, place: int) -> str:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return f'<td class="number" data-value="{float(cell)!r}">{text(number(cell))}</td>'
    tag = 'th scope="row"' if not place else "td"
    return f"<{tag}>{'—' if cell is None else text(cell)}</{tag.split()[0]}>"


def key_table(caption: str, found: KeyTable) -> str:
    """Keys and what each run has there; empty where there are none."""
    if not found.rows:
        return ""
    return table(caption, ["key", *found.heads], ([key, *cells] for key, cells in found.rows))


def standings(result: ComparisonResult | None, most: int = 200) -> str:
    """The variants of a comparison, best first."""
    if result is None:
        return ""
    what = metric_name(result.metric)
    heads = [
        "variant", "rank", "seeds", "diverged", f"mean {what}", "95% from", "to",
        "worse than best by", "95% from", "to", "P(better)", "p (Holm)",
    ]  # fmt: skip
    rows = [
        [
            row["variant"] + _chosen(row["chosen"]), row["rank"], row["seeds"], row["diverged"], row["mean"],
            row["low"], row["high"], *_behind(row, result.comparison.higher_is_better),
            row["probability_better"], row["p_holm"],
        ]
        for row in result.rows(most)
    ]  # fmt: skip
    return table(f"Variants by mean {what}, best first", heads, rows)


def _chosen(settings: dict[str, Any]) -> str:
    said = ", ".join(f"{key} {number(value) if isinstance(value, float) else value}" for key, value in settings.items())
    return f" ({said})" if said else ""


def _behind(row: dict[str, Any], higher: bool) -> list[float | None]:
    """By how much a variant is worse than the best, and between what; the comparison has differences as they are."""
    sign = -1 if higher else 1
    ends = [row["difference_low"], row["difference_high"]][::sign]
    return [None if value is None else sign * value for value in (row["difference"], *ends)]


def recipes(found: Sequence[Reproduction]) -> str:
    """The commands that make each run again."""
    return "".join(
        f'<h3>{text(each.run)}</h3><pre tabindex="0"><code>{text(chr(10).join(each.lines))}</code></pre>'
        for each in found
        if each.lines
    )
