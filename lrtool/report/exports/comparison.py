r"""A comparison as a Markdown table for pull requests, or a LaTeX table for papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.verdict import verdict
from lrtool.printable import printable
from lrtool.report.plots.style import metric_name, number

#: What Markdown would take for markup, HTML included.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~&!$@])")
_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "…": r"\ldots{}", "—": "---", "×": r"$\times$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def to_markdown(result: ComparisonResult) -> str:
    """All variants, best first, and the verdict below, as GitHub renders it."""
    heads, rows = _table(result)
    lines = [_row(map(markdown, heads)), _row(["---", *["---:"] * (len(heads) - 1)])]
    lines += [_row(map(markdown, row)) for row in rows]
    notes = [f"- {markdown(note)}" for note in result.notes]
    return (
        "\n".join([*lines, "", f"**{markdown(verdict(result.comparison))}**", *([""] if notes else []), *notes]) + "\n"
    )


def to_latex(result: ComparisonResult) -> str:
    r"""All variants, best first, as a `table` for the packages booktabs and textcomp; the verdict is its caption."""
    heads, rows = _table(result)
    body = [" & ".join(map(latex, row)) + r" \\" for row in rows]
    # The best is bold, and what it is bold for.
    body[0] = " & ".join([rf"\textbf{{{latex(rows[0][0])}}}", *map(latex, rows[0][1:])]) + r" \\"
    return "\n".join(
        [
            r"% needs \usepackage{booktabs} and \usepackage{textcomp}",
            r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}", r"\toprule",
            " & ".join(map(latex, heads)) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}",
            rf"\caption{{{latex(verdict(result.comparison).capitalize())}. {latex(_intervals(result))}}}",
            r"\end{table}",
        ]
    ) + "\n"  # fmt: skip


def markdown(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> print(markdown("a_b|<img>"))
    a\_b\|\<img\>
    """
    return _MARKDOWN.sub(r"\\\1", printable(text))


def latex(text: str) -> str:
    r"""Text that LaTeX shows as it is.

    >>> print(latex("50% of a_b"))
    50\% of a\_b
    """
    return "".join(_LATEX.get(sign, sign) for sign in printable(text))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _intervals(result: ComparisonResult) -> str:
    return f"Intervals are 95%: of the {result.comparison.statistic}, and of paired differences over shared seeds."


def _table(result: ComparisonResult) -> tuple[list[str], list[list[str]]]:
    """Heads, and a row of texts for each variant."""
    by = "" if result.comparison.statistic == "mean" else f"{result.comparison.statistic}_"
    what = f"{result.comparison.statistic} {metric_name(result.metric)}"
    heads = ["variant", "seeds", what, "95% interval", "worse than best by", "95% interval", "P(better)", "p (Holm)"]
    if result.target is not None:
        heads.append(f"updates to {number(result.target)}")
    sign = -1 if result.comparison.higher_is_better else 1
    rows = []
    for row in result.rows():
        lost = f", {row['diverged']} diverged" if row["diverged"] else ""
        ends = [row["difference_low"], row["difference_high"]][::sign]
        behind = [None if end is None else sign * end for end in (row["difference"], *ends)]
        cells = [
            row["variant"] + _chosen(row["chosen"]), f"{row['seeds']}{lost}", _number(row[by.rstrip("_") or "mean"]),
            _between(row[f"{by}low"], row[f"{by}high"]), _number(behind[0]), _between(behind[1], behind[2]),
            _part(row["probability_better"]), _p(row["p_holm"]),
        ]  # fmt: skip
        if result.target is not None:
            cells.append("never" if row["steps_to_target"] is None else f"{row['steps_to_target']:,.0f}")
        rows.append(cells)
    return heads, rows


def _chosen(settings: Mapping[str, Any]) -> str:
    said = ", ".join(f"{key} {number(value) if isinstance(value, float) else value}" for key, value in settings.items())
    return f" ({said})" if said else ""


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def _between(low: float | None, high: float | None) -> str:
    return "—" if low is None or high is None else f"[{low:.4g}, {high:.4g}]"


def _part(value: float | None) -> str:
    """A few seeds never give certainty, whatever their resamples say."""
    return "—" if value is None else "<1%" if value < 0.01 else ">99%" if value > 0.99 else f"{value:.0%}"


def _p(value: float | None) -> str:
    return "—" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
