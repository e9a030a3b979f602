"""What a run found, as one sentence, read from its summary alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrtool.report.plots.style import metric_name, number


def answer(summary: Mapping[str, Any]) -> str:
    """The answer of a run in a sentence, with its interval where it has one.

    >>> answer({"command": "tune", "status": "finished", "suggested_lr": 0.1, "interval": [0.05, 0.2]})
    'Best peak LR 0.1, 95% interval 0.05 … 0.2.'
    >>> answer({"command": "range-test", "status": "finished", "suggested_lr": None, "reason": "too short"})
    'No LR is suggested: too short.'
    """
    command = str(summary.get("command", ""))
    says = {"range-test": _range_test, "tune": _tune, "transfer": _transfer, "train": _train, "sweep": _sweep}.get(
        command
    )
    return says(summary) if says is not None else f"The run {summary.get('status', 'has no summary yet')}."


def _range_test(summary: Mapping[str, Any]) -> str:
    source = summary.get("suggested_from")
    return _suggested("Suggested peak LR", 90, summary, f", from {source}" if source else "")


def _tune(summary: Mapping[str, Any]) -> str:
    schedule, loss = summary.get("suggested_schedule"), _value(summary.get("expected_loss"))
    kind = schedule.get("kind") if isinstance(schedule, Mapping) else None
    return _suggested(
        "Best peak LR", 95, summary, (f" under {kind}" if kind else "") + (f"; expected loss {loss}" if loss else "")
    )


def _transfer(summary: Mapping[str, Any]) -> str:
    at = ", ".join(f"{key} {_value(value)}" for key, value in (summary.get("target") or {}).items())
    return _suggested("LR", 95, summary, f", for {at}" if at else "")


def _suggested(what: str, percent: int, summary: Mapping[str, Any], more: str) -> str:
    lr = _value(summary.get("suggested_lr"))
    if not lr:
        reason = summary.get("reason") or f"the run {summary.get('status')}"
        return f"No LR is suggested: {reason}."
    between = interval_text(summary.get("interval"))
    return f"{what} {lr}" + (f", {percent}% interval {between}" if between else "") + f"{more}."


def interval_text(ends: Any) -> str:
    """An interval of LRs in words, empty where there is none; an end that is not known is open.

    >>> interval_text([0.1, 0.2]), interval_text([None, 0.2]), interval_text([0.1, None]), interval_text(None)
    ('0.1 … 0.2', 'up to 0.2', '0.1 or more', '')
    """
    if not isinstance(ends, Sequence) or len(ends) != 2:
        return ""
    low, high = map(_value, ends)
    if low and high:
        return f"{low} … {high}"
    return f"up to {high}" if high else f"{low} or more" if low else ""


def _train(summary: Mapping[str, Any]) -> str:
    best, final = summary.get("best") or {}, summary.get("final") or {}
    name = next((each for each in ("val_loss", "train_loss") if _value(final.get(each))), None)
    status, steps = summary.get("status"), summary.get("steps", 0)
    begun = "Trained" if status == "finished" else f"The training {status}"
    said = f"{begun}{'' if status == 'finished' else ' after'} {steps:,} updates"
    if status != "finished" and summary.get("reason"):
        said += f" ({summary['reason']})"
    if name is None:
        return f"{said}."
    said += f": final {metric_name(name)} {_value(final[name])}"
    if _value(best.get(name)) and best.get("step") != final.get("step"):
        said += f", best {_value(best[name])} after {best['step']:,} updates"
    return f"{said}. One run has no interval: train more seeds to get one."


def _sweep(summary: Mapping[str, Any]) -> str:
    leaders, counts = summary.get("leaders") or [], summary.get("trials") or {}
    said = f"{counts.get('planned', 0):,} trials"
    if not leaders or not _value(leaders[0].get("mean")):
        finished = counts.get("finished") or 0
        return f"{said}, {f'{finished:,}' if finished else 'none'} of which finished."
    first, metric = leaders[0], metric_name(str(summary.get("metric", "val_loss")))
    seeds = f"{first.get('finished', 1)} seed{'s' * (first.get('finished', 1) != 1)}"
    return f"{said}: least mean {metric} {_value(first['mean'])} ({seeds}) with {first['variant']}."


def _value(found: Any) -> str:
    """A number as people read it; empty where there is none."""
    return number(float(found)) if isinstance(found, int | float) and not isinstance(found, bool) else ""
