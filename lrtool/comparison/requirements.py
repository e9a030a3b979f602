"""Checks of `compare --require` and `--max-regression`: what is asked for and not shown to hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from lrtool.analysis.statistics.comparison import Difference, difference
from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.variants import Variant
from lrtool.comparison.verdict import missing
from lrtool.errors import UsageError


def unmet(result: ComparisonResult, require: Iterable[str], max_regression: str | None, baseline: str) -> list[str]:
    """Requirements that are not shown to hold, each in words; raises UsageError where one cannot be understood."""
    named = {variant.name: variant for variant in result.variants}
    broken = [_not_better(result, named, text) for text in require]
    if max_regression is not None:
        limit = _percent(max_regression)
        first = _named(named, baseline, "--baseline")
        others = [variant for variant in result.variants if variant is not first]
        broken += [_regressed(result, variant, first, limit) for variant in others]
    return [text for text in broken if text]


def _not_better(result: ComparisonResult, named: dict[str, Variant], text: str) -> str:
    match = re.fullmatch(r"\s*(.+?)\s+better\s+than\s+(.+?)\s*", text)
    if match is None:
        raise UsageError(
            f"this is no requirement: {text!r}",
            where="--require",
            remedy="write --require 'cosine better than constant'",
        )
    first, second = (_named(named, name, "--require") for name in match.groups())
    pair = _pair(result, first, second)
    what = f"{first.name} is not shown to be better than {second.name}"
    lost = _diverged(pair)
    if lost:
        # A variant that finishes every seed is better than one that does not, whatever the numbers.
        return "" if pair.diverged[0] == 0 < pair.diverged[1] else f"{what}: {lost}"
    gain = pair.estimate.mean if result.comparison.higher_is_better else -pair.estimate.mean
    if gain > 0 and pair.significant:
        return ""
    if gain < 0 and pair.significant:
        return f"{first.name} is worse than {second.name}: {_effect(pair)}"
    return f"{what}: {missing(pair)}"


def _regressed(result: ComparisonResult, variant: Variant, baseline: Variant, limit: float) -> str:
    """Empty where even the worse end of the interval is within the limit."""
    pair = _pair(result, variant, baseline)
    what = f"{variant.name} against {baseline.name}"
    lost = _diverged(pair)
    if lost:
        return "" if pair.diverged[0] == 0 else f"{what}: {lost}"
    ends = pair.percent_interval
    if pair.estimate.mean == 0 and pair.estimate.deviation == 0 and pair.estimate.count > 1:
        return ""
    if ends is None:
        return f"{what}: a regression of more than {limit:g}% is not ruled out: {missing(pair)}"
    worst = -min(ends) if result.comparison.higher_is_better else max(ends)
    if worst <= limit:
        return ""
    return f"{what}: a regression of more than {limit:g}% is not ruled out: {_effect(pair)}"


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
