"""A comparison in words, as a table, and as data for scripts."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.analysis.comparison import Comparison, Difference
from lrtool.analysis.student import MOST_SEEDS, Interval
from lrtool.report.style import number, shortened
from lrtool.runs.lr_response import LrResponse, tolerance
from lrtool.runs.variants import Variant

if TYPE_CHECKING:
    from rich.table import Table

#: Rows that a terminal's table shows; `--csv` and `--json` have all.
MOST_SHOWN = 20


@dataclass(frozen=True)
class Report:
    """What a comparison found: variants in order of their rank, `target` the loss that steps are counted to.

    `responses`: the metric over LRs, of variants trained at several.
    """

    metric: str
    comparison: Comparison
    variants: tuple[Variant, ...]
    target: float | None
    notes: tuple[str, ...] = ()
    responses: tuple[LrResponse, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """One flat mapping a variant; None where a number cannot be given."""
        return [
            _row(place, standing_and_variant, self.target)
            for place, standing_and_variant in enumerate(zip(self.comparison.standings, self.variants, strict=True), 1)
        ]

    def document(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return {
            "command": "compare",
            "metric": self.metric,
            "higher_is_better": self.comparison.higher_is_better,
            "verdict": verdict(self.comparison),
            "target": self.target,
            "variants": self.rows(),
            "notes": list(self.notes),
            "tolerances": self.tolerances(),
        }

    def tolerances(self) -> list[dict[str, Any]]:
        """Of each variant trained at several LRs: those within 10% of its best, and by what factor they differ."""
        found = []
        for response in self.responses:
            said = tolerance(response, self.comparison.higher_is_better)
            if said is not None:
                found.append({"variant": response.name, **asdict(said)})
        return found


def tolerance_text(said: Mapping[str, Any]) -> str:
    """One entry of `Report.tolerances` in words."""
    least = "at least " if said["open"] else ""
    ends = said["interval"]
    sure = f", 95% interval [{ends[0]:.2g}, {ends[1]:.2g}]" if ends else ""
    name = f"{said['variant']}: " if said["variant"] else ""
    return (
        f"LRs within 10% of the best: {name}{number(said['low'])} … {number(said['high'])},"
        f" {least}a factor of {said['factor']:.2g}{sure}"
    )


def verdict(comparison: Comparison) -> str:
    """What the seeds say, in a sentence: which is best, or which cannot be told apart and what it would take."""
    best, rest = comparison.best, comparison.standings[1:]
    seeds = _seeds(best.estimate.count)
    if not best.estimate.count:
        return "every seed of every variant diverged"
    if not rest:
        return f"{best.name} is the only variant; there is nothing to compare it with"
    alike = [each.to_best for each in rest if each.to_best and not each.to_best.significant and not each.diverged]
    if not alike:
        return _first(comparison, seeds)
    if len(alike) == 1:
        return f"cannot tell {best.name} and {alike[0].name} apart: {missing(alike[0])}"
    hardest = max((pair.needed or 0 for pair in alike), default=0)
    more = f"; about {_needed(hardest)} would be needed for all of them" if hardest else ""
    names = ", ".join(pair.name for pair in alike[:4]) + (f" and {len(alike) - 4} more" if len(alike) > 4 else "")
    return f"cannot tell {best.name} apart from {names} with {seeds}{more}"


def _first(comparison: Comparison, seeds: str) -> str:
    """That the best is best; a variant that diverged ranks behind it, which is no finding of a test."""
    name, rest = comparison.best.name, comparison.standings[1:]
    diverged = [each.name for each in rest if each.diverged]
    if not diverged:
        return f"{name} is best, told apart from all others with {seeds}"
    names = ", ".join(diverged[:4]) + (f" and {len(diverged) - 4} more" if len(diverged) > 4 else "")
    behind = f"{names} diverged in some seeds and cannot be compared"
    if len(diverged) == len(rest):
        return f"{name} ranks first with {seeds}, untested: {behind}"
    return f"{name} is best, told apart with {seeds} from all others that can be compared; {behind}"


def missing(pair: Difference) -> str:
    """Why two variants cannot be told apart, and how many seeds would do."""
    count = pair.estimate.count
    if count < 2:
        return f"they share {_seeds(count)}, which says nothing about the noise; train at least 5 seeds of each"
    if pair.estimate.mean == 0 and pair.estimate.deviation == 0:
        return f"all {count} seeds give both the same value"
    if pair.needed is None or pair.p is None:
        return f"{_seeds(count)} are too few; train more"
    return f"{_seeds(count)} are too few for a difference this small; about {_needed(pair.needed)} would be needed"


def draw_table(report: Report) -> Table:
    """The table for a terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    heads = ["variant", "seeds", report.metric, "95% interval", "worse than best by", "effect", "P(better)", "p (Holm)"]
    if report.target is not None:
        heads += [f"steps to {number(report.target)}", "time"]
    for place, head in enumerate(heads):
        # Names and the difference with its interval may wrap; numbers may not.
        table.add_column(head, justify="right" if place else "left", overflow="fold", no_wrap=place > 1)
    for row in report.rows()[:MOST_SHOWN]:
        table.add_row(*_cells(row, report))
    return table


def to_csv(report: Report) -> str:
    """All variants as CSV, best first; an empty cell could not be given."""
    rows = report.rows()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        row["chosen"] = "; ".join(f"{key}={value}" for key, value in row["chosen"].items())
        writer.writerow(row)
    return text.getvalue()


def _row(place: int, pair: tuple[Any, Variant], target: float | None) -> dict[str, Any]:
    standing, variant = pair
    found, gap = standing.estimate, standing.to_best
    low, high = found.interval or (None, None)
    gap_low, gap_high = (gap.estimate.interval if gap else None) or (None, None)
    return {
        "rank": place, "variant": standing.name, "chosen": dict(variant.chosen), "tried": variant.tried,
        "seeds": len(variant.outcomes), "diverged": standing.diverged,
        "mean": _finite(found.mean), "low": low, "high": high, "deviation": _finite(found.deviation),
        "difference": _finite(gap.estimate.mean) if gap else None, "difference_low": gap_low,
        "difference_high": gap_high, "effect_percent": gap.percent if gap else None,
        "probability_better": gap.better if gap else None, "p": gap.p if gap else None,
        "p_holm": gap.corrected if gap else None, "told_apart": gap.significant if gap else None,
        "seeds_needed": _finite(gap.needed) if gap and gap.needed is not None else None,
        **_target_row(variant, target),
    }  # fmt: skip


def _target_row(variant: Variant, target: float | None) -> dict[str, Any]:
    """The median seed's way to the target; None where half of the seeds or more never reach it."""
    if target is None:
        return {"steps_to_target": None, "seconds_to_target": None, "reached_target": None}
    reached = list(variant.reached(target).values())
    steps, seconds = (float(np.median([each[column] if each else math.inf for each in reached])) for column in (0, 1))
    return {
        "steps_to_target": _finite(steps),
        "seconds_to_target": _finite(seconds),
        "reached_target": sum(each is not None for each in reached),
    }


def _cells(row: Mapping[str, Any], report: Report) -> list[str]:
    chosen = ", ".join(f"{key.rpartition('.')[2]} {_value(value)}" for key, value in row["chosen"].items())
    name = shortened(row["variant"], 48) + (f" ({chosen})" if chosen else "")
    seeds = f"{row['seeds']}" + (f", {row['diverged']} diverged" if row["diverged"] else "")
    cells = [name, seeds, _number(row["mean"]), _interval((row["low"], row["high"]))]
    if row["rank"] == 1:
        cells += ["best", "", "", ""]
    else:
        sign = -1 if report.comparison.higher_is_better else 1
        ends = sorted(sign * end for end in (row["difference_low"], row["difference_high"]) if end is not None)
        gap = row["difference"]
        about = f"{_number(None if gap is None else sign * gap)} {_interval(tuple(ends) or (None, None))}".strip()
        effect = "" if row["effect_percent"] is None else f"{row['effect_percent']:+.1f}%"
        cells += [about, effect, _probability(row["probability_better"]), _p(row["p_holm"])]
    if report.target is not None:
        full = row["reached_target"] == row["seeds"]
        count = "" if full else f" ({row['reached_target']} of {row['seeds']})"
        steps, seconds = row["steps_to_target"], row["seconds_to_target"]
        cells += ["never" + count if steps is None else f"{steps:,.0f}{count}", _time(seconds)]
    return cells


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _value(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def _interval(ends: Interval | tuple[None, None] | tuple[float, ...]) -> str:
    return "" if ends[0] is None else f"[{ends[0]:.4g}, {ends[1]:.4g}]"


def _probability(value: float | None) -> str:
    """A few seeds never give certainty, whatever their resamples say."""
    return "" if value is None else "<1%" if value < 0.01 else ">99%" if value > 0.99 else f"{value:.0%}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3g} s"


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _needed(count: float) -> str:
    return f"more than {MOST_SEEDS:,} seeds" if math.isinf(count) else f"{count:,.0f} seeds"
