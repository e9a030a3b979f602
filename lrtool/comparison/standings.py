"""From run folders to a comparison: outcomes, their variants, and who stands where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from lrtool.analysis.statistics.comparison import Statistic, compare
from lrtool.comparison.lr_response import lr_responses
from lrtool.comparison.outcomes import read_outcomes
from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.variants import chosen_metric, compared_loss, is_bounded, usual_target, variants
from lrtool.errors import UsageError
from lrtool.memory import without_collector


@without_collector()
def compare_runs(
    runs: Sequence[str],
    metric: str | None,
    direction: str | None,
    by: Sequence[str],
    target: float | None,
    statistic: str = "mean",
) -> tuple[ComparisonResult, str]:
    """Compare runs; gives the result and the name of the variant that was given first.

    Raises UsageError where there is nothing to compare or the runs are incomparable.
    """
    if direction not in (None, "higher", "lower"):
        raise UsageError(f"expected higher or lower, but got {direction!r}", where="--direction")
    by_what = _statistic(statistic)
    outcomes, notes = read_outcomes(runs)
    name, higher = chosen_metric(outcomes, metric, direction)
    found, more = variants(outcomes, name, higher, by, by_what)
    values = {variant.name: variant.values(name) for variant in found}
    bounded = is_bounded(name, [value for seeds in values.values() for value in seeds.values()])
    comparison = compare(values, higher, statistic=by_what, bounded=bounded)
    named = {variant.name: variant for variant in found}
    ranked = tuple(named[standing.name] for standing in comparison.standings)
    loss = compared_loss([each for variant in found for each in variant.outcomes.values()], name)
    if target is None and name.endswith("loss"):
        target = usual_target(found, loss)
    seeds = {frozenset(variant.outcomes) for variant in found}
    if len(seeds) > 1:
        more.append("variants have different seeds; differences are over those that both have")
    responses = lr_responses(outcomes, name, ranked, by)
    return ComparisonResult(name, comparison, ranked, target, (*notes, *more), tuple(responses), loss), found[0].name


def _statistic(name: str) -> Statistic:
    if name in ("mean", "median"):
        return cast(Statistic, name)
    raise UsageError(f"expected mean or median, but got {name!r}", where="--statistic")


def compare_sweep(folder: Path) -> ComparisonResult | None:
    """The comparison of a sweep's variants; None where there are not two with two seeds, or they are incomparable."""
    try:
        result, _ = compare_runs([str(folder)], None, None, (), None)
    except UsageError:
        return None
    return result if sum(len(variant.outcomes) > 1 for variant in result.variants) > 1 else None
