"""A comparison in words, as a table, and as data for scripts."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.analysis.statistics.comparison import Comparison, Difference, Standing, median_interval
from lrtool.analysis.statistics.look import Look
from lrtool.analysis.statistics.student import MOST_SEEDS, Interval
from lrtool.comparison.lr_response import LrResponse, tolerance
from lrtool.comparison.variants import Variant
from lrtool.printable import printable
from lrtool.report.plots.style import number, shortened_apart

if TYPE_CHECKING:
    from rich.table import Table

_TARGET_COLUMNS = ("steps_to_target", "steps_low", "steps_high", "seconds_to_target", "reached_target")
#: Rows that a terminal's table shows; `--csv` and `--json` have all.
MOST_SHOWN = 20
#: Letters of a name there.
_NAME = 48


@dataclass(frozen=True)
class Report:
    """What a comparison found: variants in order of their rank, `target` the loss that steps are counted to.

    `responses`: the metric over LRs, of variants trained at several. `loss`: whose curves are compared.
    """

    metric: str
    comparison: Comparison
    variants: tuple[Variant, ...]
    target: float | None
    notes: tuple[str, ...] = ()
    responses: tuple[LrResponse, ...] = ()
    loss: str = "val_loss"

    def rows(self, most: int | None = None) -> list[dict[str, Any]]:
        """One flat mapping a variant, of the best `most` or of all; None where a number cannot be given."""
        pairs = zip(self.comparison.standings[:most], self.variants[:most], strict=True)
        return [
            {**_row(place, *pair), **_target_row(pair[1], self.target, self.loss)}
            for place, pair in enumerate(pairs, 1)
        ]

    def document(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return {
            "command": "compare",
            "metric": self.metric,
            "higher_is_better": self.comparison.higher_is_better,
            "statistic": self.comparison.statistic,
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


def look_text(report: Report) -> str:
    """What the marks in the table mean, of the variants that it shows; empty where there are none."""
    odd = [each for each in report.comparison.standings[:MOST_SHOWN] if each.look.odd]
    if not odd:
        return ""
    found = "; ".join(f"of {each.name}, {_odd(each.look)}" for each in odd[:4])
    more = f"; and of {len(odd) - 4} more" if len(odd) > 4 else ""
    if report.comparison.statistic == "median":
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
    """One entry of `Report.tolerances` in words."""
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
    worse = [each.name for each in rest if each.to_best and each.to_best.significant]
    told = f"; {_listed(worse)} {'is' if len(worse) == 1 else 'are'} worse" if worse else ""
    if len(alike) == 1:
        return f"cannot tell {best.name} and {alike[0].name} apart: {missing(alike[0])}{told}"
    hardest = max((pair.needed or 0 for pair in alike), default=0)
    more = f"; {_needed(hardest)} would be needed for all of them" if hardest else ""
    return f"cannot tell {best.name} apart from {_listed([pair.name for pair in alike])} with {seeds}{more}{told}"


def _first(comparison: Comparison, seeds: str) -> str:
    """That the best is best; a variant that diverged ranks behind it, which is no finding of a test."""
    name, rest = comparison.best.name, comparison.standings[1:]
    diverged = [each.name for each in rest if each.diverged]
    if not diverged:
        return f"{name} is best, told apart from all others with {seeds}"
    behind = f"{_listed(diverged)} diverged in some seeds and cannot be compared"
    if len(diverged) == len(rest):
        return f"{name} ranks first with {seeds}, untested: {behind}"
    return f"{name} is best, told apart with {seeds} from all others that can be compared; {behind}"


def _listed(names: Sequence[str]) -> str:
    """At most four names; in quotes where a name has a comma itself.

    >>> _listed(["a", "b"]), _listed(["wsd, lr=1", "b"]), _listed(list("abcdef"))
    ('a, b', "'wsd, lr=1', b", 'a, b, c, d and 2 more')
    """
    names = [repr(name) if ", " in name else name for name in names]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def missing(pair: Difference) -> str:
    """Why two variants cannot be told apart, and how many seeds would do."""
    count = pair.estimate.count
    if not count:
        return "they share no seed, so no difference can be paired; train both with the same seeds, at least 5"
    if count < 2:
        return "they share 1 seed, which says nothing about the noise; train at least 5 seeds of each"
    if pair.estimate.mean == 0 and pair.estimate.deviation == 0:
        return f"all {count} seeds give both the same value"
    if pair.needed is None or pair.p is None:
        return f"{_seeds(count)} are too few; train more"
    return f"{_seeds(count)} are too few for a difference this small; {_needed(pair.needed)} would be needed"


def draw_table(report: Report) -> Table:
    """The table for a terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    middle = report.metric if report.comparison.statistic == "mean" else f"median {report.metric}"
    heads = ["variant", "seeds", middle, "95% interval", "worse than best by", "effect", "P(better)", "p (Holm)"]
    if report.target is not None:
        heads += [f"steps to {number(report.target)}", "time"]
    for place, head in enumerate(heads):
        # Names and the difference with its interval may wrap; numbers may not.
        table.add_column(printable(head), justify="right" if place else "left", overflow="fold", no_wrap=place > 1)
    rows = report.rows(MOST_SHOWN)
    names = shortened_apart([row["variant"] for row in rows], _NAME)
    for row, name in zip(rows, names, strict=True):
        table.add_row(*map(printable, _cells({**row, "variant": name}, report)))
    return table


def to_csv(report: Report) -> str:
    """All variants as CSV, best first; an empty cell could not be given."""
    rows = report.rows()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        row["chosen"] = "; ".join(f"{key}={value}" for key, value in row["chosen"].items())
        row["outliers"] = "; ".join(map(str, row["outliers"]))
        writer.writerow(row)
    return text.getvalue()


def _row(place: int, standing: Standing, variant: Variant) -> dict[str, Any]:
    mean, gap = standing.mean, standing.to_best
    low, high = mean.interval or (None, None)
    median_low, median_high = standing.median.interval or (None, None)
    gap_low, gap_high = (gap.estimate.interval if gap else None) or (None, None)
    return {
        "rank": place, "variant": standing.name, "chosen": dict(variant.chosen), "tried": variant.tried,
        "seeds": len(variant.outcomes), "diverged": standing.diverged,
        "mean": _finite(mean.mean), "low": low, "high": high, "deviation": _finite(mean.deviation),
        "median": _finite(standing.median.mean), "median_low": median_low, "median_high": median_high,
        "outliers": list(standing.look.outliers), "skewed": standing.look.skewed,
        "difference": _finite(gap.estimate.mean) if gap else None, "difference_low": gap_low,
        "difference_high": gap_high, "effect_percent": gap.percent if gap else None,
        "probability_better": gap.better if gap else None, "p": gap.p if gap else None,
        "p_holm": gap.corrected if gap else None, "told_apart": gap.significant if gap else None,
        "seeds_needed": _finite(gap.needed) if gap and gap.needed is not None else None,
    }  # fmt: skip


def _target_row(variant: Variant, target: float | None, loss: str) -> dict[str, Any]:
    """The median seed's way to the target, with the median's interval; None where it is never reached.

    Seeds that never reach it count as the slowest.
    """
    if target is None:
        return dict.fromkeys(_TARGET_COLUMNS)
    reached = list(variant.reached(target, loss).values())
    steps = [each[0] if each else math.inf for each in reached]
    low, high = median_interval(steps) or (math.inf, math.inf)
    seconds = float(np.median([each[1] if each else math.inf for each in reached]))
    found = (float(np.median(steps)), low, high, seconds)
    return dict(zip(_TARGET_COLUMNS, (*map(_finite, found), sum(map(math.isfinite, steps))), strict=True))


def _cells(row: Mapping[str, Any], report: Report) -> list[str]:
    chosen = ", ".join(
        _value(value) if key.endswith(".kind") else f"{key.rpartition('.')[2]} {_value(value)}"
        for key, value in row["chosen"].items()
    )
    name = row["variant"] + (f" ({chosen})" if chosen else "")
    seeds = f"{row['seeds']}" + (f", {row['diverged']} diverged" if row["diverged"] else "")
    if report.comparison.statistic == "mean":
        middle, ends = row["mean"], (row["low"], row["high"])
    else:
        middle, ends = row["median"], (row["median_low"], row["median_high"])
    mark = " *" if row["outliers"] or row["skewed"] else ""
    cells = [name, seeds, _number(middle), _interval(ends) + mark]
    if row["rank"] == 1:
        cells += ["best", "", "", ""]
    else:
        sign = -1 if report.comparison.higher_is_better else 1
        around = sorted(sign * end for end in (row["difference_low"], row["difference_high"]) if end is not None)
        gap = row["difference"]
        about = f"{_number(None if gap is None else sign * gap)} {_interval(tuple(around) or (None, None))}".strip()
        effect = _percent(row["effect_percent"])
        cells += [about, effect, _probability(row["probability_better"]), _p(row["p_holm"])]
    if report.target is not None:
        full = row["reached_target"] == row["seeds"]
        count = "" if full else f" ({row['reached_target']} of {row['seeds']})"
        steps, seconds = row["steps_to_target"], row["seconds_to_target"]
        cells += ["never" + count if steps is None else f"{steps:,.0f}{_steps_between(row)}{count}", _time(seconds)]
    return cells


def _steps_between(row: Mapping[str, Any]) -> str:
    """The interval of the median; empty with too few seeds for one."""
    low, high = row["steps_low"], row["steps_high"]
    return "" if low is None else f" [{low:,.0f}, {'never' if high is None else f'{high:,.0f}'}]"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


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


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _needed(count: float) -> str:
    return f"more than {MOST_SEEDS:,} seeds" if math.isinf(count) else f"about {count:,.0f} seeds"
