"""From run folders to a comparison, its plots, and what a script requires of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from lrtool.analysis.statistics.comparison import Difference, Statistic, compare, difference
from lrtool.comparison.lr_response import lr_responses
from lrtool.comparison.outcomes import read_outcomes
from lrtool.comparison.variants import Variant, chosen_metric, compared_loss, is_bounded, usual_target, variants
from lrtool.errors import UsageError
from lrtool.memory import without_collector
from lrtool.report.terminal.compare import Report, missing, verdict


@without_collector()
def build_report(
    runs: Sequence[str],
    metric: str | None,
    direction: str | None,
    by: Sequence[str],
    target: float | None,
    statistic: str = "mean",
) -> tuple[Report, str]:
    """Compare runs; gives the report and the name of the variant that was given first.

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
    return Report(name, comparison, ranked, target, (*notes, *more), tuple(responses), loss), found[0].name


def _statistic(name: str) -> Statistic:
    if name in ("mean", "median"):
        return cast(Statistic, name)
    raise UsageError(f"expected mean or median, but got {name!r}", where="--statistic")


def sweep_report(folder: Path) -> Report | None:
    """The comparison of a sweep's variants; None where there are not two with two seeds, or they are incomparable."""
    try:
        report, _ = build_report([str(folder)], None, None, (), None)
    except UsageError:
        return None
    return report if sum(len(variant.outcomes) > 1 for variant in report.variants) > 1 else None


def draw(report: Report, folder: Path) -> list[Path]:
    """Draw the plots into a folder, made if need be; gives the files. Raises OutputError where it cannot be written."""
    from lrtool.report.plots.compare import OverlayPlot, draw_overlay
    from lrtool.report.plots.compare_rows import ForestPlot, TargetPlot, draw_forest, draw_target
    from lrtool.report.plots.style import metric_name, save
    from lrtool.runs.atomic import output_error

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from None
    count = len(report.variants)
    title, answer = f"{count} variant{'' if count == 1 else 's'}", verdict(report.comparison)
    what = metric_name(report.metric)
    overlay = OverlayPlot.of(f"{title}: curves", answer, report.variants, report.loss, report.comparison.statistic)
    forest = ForestPlot.of(f"{title}: {what}", answer, report.metric, report.variants, report.comparison)
    files = [*save(draw_overlay(overlay), folder, "curves"), *save(draw_forest(forest), folder, "final")]
    if report.target is not None:
        target = TargetPlot.of(f"{title}: steps to a target", report.target, report.variants, report.loss)
        files += save(draw_target(target), folder, "steps_to_target")
    return [*files, *_draw_responses(report, folder, title)]


def _draw_responses(report: Report, folder: Path, title: str) -> list[Path]:
    """The plots over LRs, where several were trained; the heat map where they are a grid of several variants."""
    from lrtool.report.plots.lr_response import HeatPlot, LrPlot, draw_heat, draw_lr
    from lrtool.report.plots.style import metric_name, save

    if not report.responses:
        return []
    over, higher = f"{metric_name(report.metric)} over LR", report.comparison.higher_is_better
    files = list(save(draw_lr(LrPlot.of(f"{title}: {over}", report.metric, higher, report.responses)), folder, "lr"))
    heat = HeatPlot.of(f"{title}: {over}", report.metric, higher, report.responses)
    return files if heat is None else [*files, *save(draw_heat(heat), folder, "lr_heat")]


def unmet(report: Report, require: Iterable[str], max_regression: str | None, baseline: str) -> list[str]:
    """Requirements that are not shown to hold, each in words; raises UsageError where one cannot be understood."""
    named = {variant.name: variant for variant in report.variants}
    broken = [_not_better(report, named, text) for text in require]
    if max_regression is not None:
        limit = _percent(max_regression)
        first = _named(named, baseline, "--baseline")
        others = [variant for variant in report.variants if variant is not first]
        broken += [_regressed(report, variant, first, limit) for variant in others]
    return [text for text in broken if text]


def _not_better(report: Report, named: dict[str, Variant], text: str) -> str:
    match = re.fullmatch(r"\s*(.+?)\s+better\s+than\s+(.+?)\s*", text)
    if match is None:
        raise UsageError(
            f"this is no requirement: {text!r}",
            where="--require",
            remedy="write --require 'cosine better than constant'",
        )
    first, second = (_named(named, name, "--require") for name in match.groups())
    pair = _pair(report, first, second)
    what = f"{first.name} is not shown to be better than {second.name}"
    lost = _diverged(pair)
    if lost:
        # A variant that finishes every seed is better than one that does not, whatever the numbers.
        return "" if pair.diverged[0] == 0 < pair.diverged[1] else f"{what}: {lost}"
    gain = pair.estimate.mean if report.comparison.higher_is_better else -pair.estimate.mean
    if gain > 0 and pair.significant:
        return ""
    if gain < 0 and pair.significant:
        return f"{first.name} is worse than {second.name}: {_effect(pair)}"
    return f"{what}: {missing(pair)}"


def _regressed(report: Report, variant: Variant, baseline: Variant, limit: float) -> str:
    """Empty where even the worse end of the interval is within the limit."""
    pair = _pair(report, variant, baseline)
    what = f"{variant.name} against {baseline.name}"
    lost = _diverged(pair)
    if lost:
        return "" if pair.diverged[0] == 0 else f"{what}: {lost}"
    ends = pair.percent_interval
    if pair.estimate.mean == 0 and pair.estimate.deviation == 0 and pair.estimate.count > 1:
        return ""
    if ends is None:
        return f"{what}: a regression of more than {limit:g}% is not ruled out: {missing(pair)}"
    worst = -min(ends) if report.comparison.higher_is_better else max(ends)
    if worst <= limit:
        return ""
    return f"{what}: a regression of more than {limit:g}% is not ruled out: {_effect(pair)}"


def _pair(report: Report, first: Variant, second: Variant) -> Difference:
    values, others = first.values(report.metric), second.values(report.metric)
    higher, statistic = report.comparison.higher_is_better, report.comparison.statistic
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
