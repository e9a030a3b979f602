"""Checks of `compare --require` and `--max-regression`: what is asked for, and whether it is shown to hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lrtool.analysis.statistics.comparison import Difference, difference, holm
from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.variants import Variant
from lrtool.comparison.verdict import missing
from lrtool.errors import UsageError


@dataclass(frozen=True)
class Requirement:
    """Something that was required of a comparison: whether it is shown to hold, and what is shown, in words."""

    holds: bool
    said: str


def requirements(
    result: ComparisonResult, require: Iterable[str], max_regression: str | None, baseline: str
) -> list[Requirement]:
    """What was asked for, each found to hold or not; raises UsageError where one cannot be understood."""
    named = {variant.name: variant for variant in result.variants}
    asked = [_better(result, named, text) for text in require]
    if max_regression is not None:
        limit = _percent(max_regression)
        first = _named(named, baseline, "--baseline")
        others = [variant for variant in result.variants if variant is not first]
        asked += [_regressed(result, variant, first, limit) for variant in others]
    return asked


def _better(result: ComparisonResult, named: dict[str, Variant], text: str) -> Requirement:
    match = re.fullmatch(r"\s*(.+?)\s+better\s+than\s+(.+?)\s*", text)
    if match is None:
        raise UsageError(
            f"this is no requirement: {text!r}",
            where="--require",
            remedy="write --require 'cosine better than constant'",
        )
    first, second = (_named(named, name, "--require") for name in match.groups())
    pair = _corrected(result, _pair(result, first, second))
    what = f"{first.name} is not shown to be better than {second.name}"
    lost = _diverged(pair)
    if lost:
        # A variant that finishes every seed is better than one that does not, whatever the numbers.
        holds = pair.diverged[0] == 0 < pair.diverged[1]
        return Requirement(holds, f"{first.name} is better than {second.name}: {lost}" if holds else f"{what}: {lost}")
    gain = pair.estimate.mean if result.comparison.higher_is_better else -pair.estimate.mean
    if gain != 0 and pair.significant:
        than = "better" if gain > 0 else "worse"
        return Requirement(gain > 0, f"{first.name} is {than} than {second.name}: {_effect(pair)}{_p(pair)}")
    return Requirement(False, f"{what}: {missing(pair)}{_p(pair)}")


def _corrected(result: ComparisonResult, pair: Difference) -> Difference:
    """A pair with the p that the table and the verdict go by: corrected for every pair of variants.

    Of two that are both behind the best, the correction is the full one, which is never too small.
    """
    places = {standing.name: standing for standing in result.comparison.standings}
    hypotheses = max(1, len(places) * (len(places) - 1) // 2)
    for name, other in ((pair.name, pair.other), (pair.other, pair.name)):
        known = places[name].to_best
        if known is not None and known.other == other:
            return replace(pair, p=known.p, corrected=known.corrected, hypotheses=hypotheses)
    return replace(pair, corrected=holm([pair.p], hypotheses)[0], hypotheses=hypotheses)


def _p(pair: Difference) -> str:
    if pair.corrected is None:
        return ""
    many = f", corrected for {pair.hypotheses} pairs" if pair.hypotheses > 1 else ""
    return f" (p {pair.corrected:.2g}{many})"


def _regressed(result: ComparisonResult, variant: Variant, baseline: Variant, limit: float) -> Requirement:
    """Whether even the worse end of the interval is within the limit."""
    pair = _pair(result, variant, baseline)
    what = f"{variant.name} against {baseline.name}"
    within = f"{what}: a regression of more than {limit:g}% is ruled out"
    beyond = f"{what}: a regression of more than {limit:g}% is not ruled out"
    lost = _diverged(pair)
    if lost:
        holds = pair.diverged[0] == 0
        return Requirement(holds, f"{within if holds else what}: {lost}")
    ends = pair.percent_interval
    if pair.estimate.mean == 0 and pair.estimate.deviation == 0 and pair.estimate.count > 1:
        return Requirement(True, f"{within}: {missing(pair)}")
    if ends is None:
        return Requirement(False, f"{beyond}: {missing(pair)}")
    worst = -min(ends) if result.comparison.higher_is_better else max(ends)
    return Requirement(worst <= limit, f"{within if worst <= limit else beyond}: {_effect(pair)}")


def _pair(result: ComparisonResult, first: Variant, second: Variant) -> Difference:
    values, others = first.values(result.metric), second.values(result.metric)
    higher, statistic = result.comparison.higher_is_better, result.comparison.statistic
    return difference(first.name, values, second.name, others, higher, statistic=statistic)


def _diverged(pair: Difference) -> str:
    parts = [f"{name} diverged in {lost} of {pair.estimate.count} seeds"
             for name, lost in zip((pair.name, pair.other), pair.diverged, strict=True) if lost]  # fmt: skip
    return " and ".join(parts)


def _effect(pair: Difference) -> str:
    ends = pair.percent_interval
    if pair.percent is None or ends is None:
        return f"difference {pair.estimate.mean:.4g}"
    return f"difference {pair.percent:+.2g}%, 95% interval [{ends[0]:+.2g}%, {ends[1]:+.2g}%]"


def _named(named: dict[str, Variant], name: str, where: str) -> Variant:
    if name in named:
        return named[name]
    near = difflib.get_close_matches(name, named, n=1)
    known = ", ".join(list(named)[:10])
    raise UsageError(
        f"there is no variant {name!r}", where=where,
        remedy=f"did you mean {near[0]!r}?" if near else f"the variants are: {known}",
    )  # fmt: skip


def _percent(text: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*", text)
    if match is None:
        raise UsageError(
            f"expected a percentage, but got {text!r}", where="--max-regression", remedy="write --max-regression 2%"
        )
    return float(match[1])
