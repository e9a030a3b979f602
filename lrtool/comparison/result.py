"""What a comparison found, as data: a row for each variant, for tables and scripts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lrtool.analysis.statistics.comparison import Comparison, Standing, median_interval
from lrtool.comparison.lr_response import LrResponse, tolerance
from lrtool.comparison.variants import Variant
from lrtool.comparison.verdict import verdict

_TARGET_COLUMNS = ("steps_to_target", "steps_low", "steps_high", "seconds_to_target", "reached_target")


@dataclass(frozen=True)
class ComparisonResult:
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


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
