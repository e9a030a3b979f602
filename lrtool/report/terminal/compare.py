"""A comparison in words, as a table, and as data for scripts."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from unicodedata import east_asian_width

from lrtool.analysis.statistics.look import Look
from lrtool.analysis.statistics.student import Interval
from lrtool.comparison.result import ComparisonResult
from lrtool.printable import cell, printable
from lrtool.report.plots.style import number, shortened_apart

#: Rows that a terminal's table shows; `--csv` and `--json` have all.
MOST_SHOWN = 20
#: Letters of a name there; as many as it keeps before columns give way, and as many as it keeps in any case.
_NAME, _LEAST_NAME, _SHORTEST_NAME = 48, 32, 16
_GAP = "  "


def look_text(result: ComparisonResult) -> str:
    """What the marks in the table mean, of the variants that it shows; empty where there are none."""
    odd = [each for each in result.comparison.standings[:MOST_SHOWN] if each.look.odd]
    if not odd:
        return ""
    found = "; ".join(f"of {each.name}, {_odd(each.look)}" for each in odd[:4])
    more = f"; and of {len(odd) - 4} more" if len(odd) > 4 else ""
    if result.comparison.statistic == "median":
        return f"* {found}{more}: medians are compared, which this does not move"
    return f"* {found}{more}: the mean's interval may hold less often than 95%; compare --statistic median"


def _odd(found: Look) -> str:
    """How the seeds of a variant look.

    >>> _odd(Look((7,))), _odd(Look((1, 2), True)), _odd(Look((), True))
    ('seed 7 is an outlier', 'seeds 1, 2 are outliers and the seeds are skewed', 'the seeds are skewed')
    """
    said = []
    if found.outliers:
        some = ", ".join(map(str, found.outliers[:4])) + (" …" if len(found.outliers) > 4 else "")
        said.append(f"seed {some} is an outlier" if len(found.outliers) == 1 else f"seeds {some} are outliers")
    if found.skewed:
        said.append("the seeds are skewed")
    return " and ".join(said)


def tolerance_text(said: Mapping[str, Any]) -> str:
    """One entry of `ComparisonResult.tolerances` in words."""
    least = "at least " if said["open"] else ""
    ends = said["interval"]
    sure = f", 95% interval [{_factor(ends[0])}, {_factor(ends[1])}]" if ends else ""
    name = f" of {said['variant']}" if said["variant"] else ""
    return (
        f"LRs within 10% of the best{name}: {number(said['low'])} … {number(said['high'])},"
        f" {least}a factor of {_factor(said['factor'])}{sure}"
    )


def _factor(value: float) -> str:
    return f"{value:.2g}" if value < 100 else number(value)


class TableColumn(NamedTuple):
    """A column of the table: its head, a cell for each variant, and when it gives way (1: first; 0: never)."""

    head: str
    cells: list[str]
    gives_way: int = 0

    @property
    def width(self) -> int:
        """Characters of its widest cell."""
        return max(map(columns_of, (self.head, *self.cells)))


def columns_of(text: str) -> int:
    """Columns of a terminal that a text takes: Chinese, Japanese and Korean signs take two.

    >>> columns_of("lr"), columns_of("学习率")
    (2, 6)
    """
    return len(text) + sum(east_asian_width(char) in "WF" for char in text if not char.isascii())


def table_text(result: ComparisonResult, width: int | None = None) -> str:
    """The table in lines of at most `width` characters (None: as wide as it is).

    Where it is too wide, whole columns are left out and named, those first that the verdict needs least. Names stay,
    shortened only where even few columns leave no room, and numbers are never cut.
    """
    rows = result.rows(MOST_SHOWN)
    names = [printable(row["variant"]) for row in rows]
    whole = [f"{name}{_chosen(row)}" for name, row in zip(shortened_apart(names, _NAME), rows, strict=True)]
    every = _columns(rows, result)
    columns = _that_fit(every, min(max(map(columns_of, ("variant", *whole))), _LEAST_NAME), width)
    room = max(_room(columns, width), _SHORTEST_NAME)
    if room < max(map(columns_of, whole)):
        # What was chosen gives way before the names do.
        whole = shortened_apart(names, min(room, _NAME))
    lines = _lines([TableColumn("variant", whole), *columns])
    if heads := ", ".join(each.head for each in every if each not in columns):
        lines += textwrap.wrap(f"not shown in {width} columns: {heads}; --csv and --json have all", width or 10_000)
    return "\n".join(lines)


def _that_fit(columns: Sequence[TableColumn], names: int, width: int | None) -> list[TableColumn]:
    """The columns for which there is room beside names of so many letters; those that never give way in any case."""
    kept = [each for each in columns if not each.gives_way]
    for each in sorted((each for each in columns if each.gives_way), key=lambda each: -each.gives_way):
        if _room([*kept, each], width) >= names:
            kept.append(each)
    return [each for each in columns if each in kept]


def _room(columns: Sequence[TableColumn], width: int | None) -> int:
    """Characters that other columns leave to the names."""
    return 10_000 if width is None else width - sum(len(_GAP) + each.width for each in columns)


def _lines(columns: Sequence[TableColumn]) -> list[str]:
    """Names to the left, numbers to the right."""
    first, *rest = columns
    left = [cell + " " * (first.width - columns_of(cell)) for cell in (first.head, *first.cells)]
    right = [[f"{cell:>{each.width}}" for cell in (each.head, *each.cells)] for each in rest]
    return [_GAP.join(row).rstrip() for row in zip(left, *right, strict=True)]


def _columns(rows: Sequence[Mapping[str, Any]], result: ComparisonResult) -> list[TableColumn]:
    """The columns beside the names."""
    mean, sign = result.comparison.statistic == "mean", -1 if result.comparison.higher_is_better else 1
    middle, low, high = ("mean", "low", "high") if mean else ("median", "median_low", "median_high")
    others = [row if row["rank"] > 1 else None for row in rows]
    marks = [" *" if row["outliers"] or row["skewed"] else "" for row in rows]
    columns = [
        TableColumn("seeds", [_seeds(row) for row in rows]),
        TableColumn(
            printable(result.metric if mean else f"median {result.metric}"), [_number(row[middle]) for row in rows]
        ),
        TableColumn(
            "95% interval",
            [_interval((row[low], row[high])) + mark for row, mark in zip(rows, marks, strict=True)],
            6,
        ),
        TableColumn("worse by", ["best" if row is None else _gap(row, sign) for row in others]),
        TableColumn("its 95% interval", ["" if row is None else _gap_interval(row, sign) for row in others], 5),
        TableColumn("effect", ["" if row is None else _percent(row["effect_percent"]) for row in others], 4),
        TableColumn("P(better)", ["" if row is None else _probability(row["probability_better"]) for row in others], 3),
        TableColumn("p (Holm)", ["" if row is None else _p(row["p_holm"]) for row in others], 7),
    ]
    if result.target is not None:
        columns.append(TableColumn(f"steps to {number(result.target)}", [_steps(row) for row in rows], 2))
        columns.append(TableColumn("time", [_time(row["seconds_to_target"]) for row in rows], 1))
    return columns


def to_csv(result: ComparisonResult) -> str:
    """All variants as CSV, best first; an empty cell could not be given."""
    rows = result.rows()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        row["chosen"] = "; ".join(f"{key}={value}" for key, value in row["chosen"].items())
        row["outliers"] = "; ".join(map(str, row["outliers"]))
        writer.writerow({name: cell(value) for name, value in row.items()})
    return text.getvalue()


def _chosen(row: Mapping[str, Any]) -> str:
    """The settings that a variant stands at, in brackets; empty where there was no choice."""
    chosen = ", ".join(
        _value(value) if key.endswith(".kind") else f"{key.rpartition('.')[2]} {_value(value)}"
        for key, value in row["chosen"].items()
    )
    return printable(f" ({chosen})") if chosen else ""


def _seeds(row: Mapping[str, Any]) -> str:
    return f"{row['seeds']}" + (f", {row['diverged']} diverged" if row["diverged"] else "")


def _gap(row: Mapping[str, Any], sign: int) -> str:
    return _number(None if row["difference"] is None else sign * row["difference"])


def _gap_interval(row: Mapping[str, Any], sign: int) -> str:
    ends = sorted(sign * end for end in (row["difference_low"], row["difference_high"]) if end is not None)
    return _interval(tuple(ends) or (None, None))


def _steps(row: Mapping[str, Any]) -> str:
    """Updates to the target, their interval, and how many seeds get there where not all do."""
    count = "" if row["reached_target"] == row["seeds"] else f" ({row['reached_target']} of {row['seeds']})"
    steps = row["steps_to_target"]
    return "never" + count if steps is None else f"{steps:,.0f}{_steps_between(row)}{count}"


def _steps_between(row: Mapping[str, Any]) -> str:
    """The interval of the median; empty with too few seeds for one."""
    low, high = row["steps_low"], row["steps_high"]
    return "" if low is None else f" [{low:,.0f}, {'never' if high is None else f'{high:,.0f}'}]"


def _value(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def _interval(ends: Interval | tuple[None, None] | tuple[float, ...]) -> str:
    return "" if ends[0] is None else f"[{ends[0]:.4g}, {ends[1]:.4g}]"


def _percent(value: float | None) -> str:
    """In tenths, where those mean anything; never "-0.0%".

    >>> _percent(2.34), _percent(-1e-6), _percent(-34673.04)
    ('+2.3%', '0.0%', '-34,673%')
    """
    if value is None or abs(value) < 0.05:
        return "" if value is None else "0.0%"
    return f"{value:+.1f}%" if abs(value) < 1000 else f"{value:+,.0f}%"


def _probability(value: float | None) -> str:
    """A few seeds never give certainty, whatever their resamples say."""
    return "" if value is None else "<1%" if value < 0.01 else ">99%" if value > 0.99 else f"{value:.0%}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3g} s"
