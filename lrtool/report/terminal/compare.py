"""A comparison in words, as a table, and as data for scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrtool.analysis.statistics.look import Look
from lrtool.analysis.statistics.student import Interval
from lrtool.comparison.result import ComparisonResult
from lrtool.printable import printable
from lrtool.report.plots.style import number, shortened_apart

if TYPE_CHECKING:
    from rich.table import Table

#: Rows that a terminal's table shows; `--csv` and `--json` have all.
MOST_SHOWN = 20
#: Letters of a name there.
_NAME = 48


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


def draw_table(result: ComparisonResult) -> Table:
    """The table for a terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    middle = result.metric if result.comparison.statistic == "mean" else f"median {result.metric}"
    heads = ["variant", "seeds", middle, "95% interval", "worse than best by", "effect", "P(better)", "p (Holm)"]
    if result.target is not None:
        heads += [f"steps to {number(result.target)}", "time"]
    for place, head in enumerate(heads):
        # Names and the difference with its interval may wrap; numbers may not.
        table.add_column(printable(head), justify="right" if place else "left", overflow="fold", no_wrap=place > 1)
    rows = result.rows(MOST_SHOWN)
    names = shortened_apart([row["variant"] for row in rows], _NAME)
    for row, name in zip(rows, names, strict=True):
        table.add_row(*map(printable, _cells({**row, "variant": name}, result)))
    return table


def to_csv(result: ComparisonResult) -> str:
    """All variants as CSV, best first; an empty cell could not be given."""
    rows = result.rows()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        row["chosen"] = "; ".join(f"{key}={value}" for key, value in row["chosen"].items())
        row["outliers"] = "; ".join(map(str, row["outliers"]))
        writer.writerow(row)
    return text.getvalue()


def _cells(row: Mapping[str, Any], result: ComparisonResult) -> list[str]:
    chosen = ", ".join(
        _value(value) if key.endswith(".kind") else f"{key.rpartition('.')[2]} {_value(value)}"
        for key, value in row["chosen"].items()
    )
    name = row["variant"] + (f" ({chosen})" if chosen else "")
    seeds = f"{row['seeds']}" + (f", {row['diverged']} diverged" if row["diverged"] else "")
    if result.comparison.statistic == "mean":
        middle, ends = row["mean"], (row["low"], row["high"])
    else:
        middle, ends = row["median"], (row["median_low"], row["median_high"])
    mark = " *" if row["outliers"] or row["skewed"] else ""
    cells = [name, seeds, _number(middle), _interval(ends) + mark]
    if row["rank"] == 1:
        cells += ["best", "", "", ""]
    else:
        sign = -1 if result.comparison.higher_is_better else 1
        around = sorted(sign * end for end in (row["difference_low"], row["difference_high"]) if end is not None)
        gap = row["difference"]
        about = f"{_number(None if gap is None else sign * gap)} {_interval(tuple(around) or (None, None))}".strip()
        effect = _percent(row["effect_percent"])
        cells += [about, effect, _probability(row["probability_better"]), _p(row["p_holm"])]
    if result.target is not None:
        full = row["reached_target"] == row["seeds"]
        count = "" if full else f" ({row['reached_target']} of {row['seeds']})"
        steps, seconds = row["steps_to_target"], row["seconds_to_target"]
        cells += ["never" + count if steps is None else f"{steps:,.0f}{_steps_between(row)}{count}", _time(seconds)]
    return cells


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
