"""The plots of a comparison: curves, final values, steps to a target, the metric over LRs."""

from __future__ import annotations

from pathlib import Path

from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.verdict import verdict


def draw_comparison(result: ComparisonResult, folder: Path) -> list[Path]:
    """Draw the plots into a folder, made if need be; gives the files. Raises OutputError where it cannot be written."""
    from lrtool.report.plots.compare import OverlayPlot, draw_overlay
    from lrtool.report.plots.compare_rows import ForestPlot, TargetPlot, draw_forest, draw_target
    from lrtool.report.plots.style import metric_name, save
    from lrtool.runs.atomic import output_error

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from None
    count = len(result.variants)
    title, answer = f"{count} variant{'' if count == 1 else 's'}", verdict(result.comparison)
    what = metric_name(result.metric)
    overlay = OverlayPlot.of(f"{title}: curves", answer, result.variants, result.loss, result.comparison.statistic)
    forest = ForestPlot.of(f"{title}: {what}", answer, result.metric, result.variants, result.comparison)
    files = [*save(draw_overlay(overlay), folder, "curves"), *save(draw_forest(forest), folder, "final")]
    if result.target is not None:
        target = TargetPlot.of(f"{title}: steps to a target", result.target, result.variants, result.loss)
        files += save(draw_target(target), folder, "steps_to_target")
    return [*files, *_draw_responses(result, folder, title)]


def _draw_responses(result: ComparisonResult, folder: Path, title: str) -> list[Path]:
    """The plots over LRs, where several were trained; the heat map where they are a grid of several variants."""
    from lrtool.report.plots.lr_response import HeatPlot, LrPlot, draw_heat, draw_lr
    from lrtool.report.plots.style import metric_name, save

    if not result.responses:
        return []
    over, higher = f"{metric_name(result.metric)} over LR", result.comparison.higher_is_better
    files = list(save(draw_lr(LrPlot.of(f"{title}: {over}", result.metric, higher, result.responses)), folder, "lr"))
    heat = HeatPlot.of(f"{title}: {over}", result.metric, higher, result.responses)
    return files if heat is None else [*files, *save(draw_heat(heat), folder, "lr_heat")]
