"""The report as plain data, made from run folders alone: answers first, then what charts and tables show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lrtool.comparison.comparability import LR
from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.standings import compare_runs
from lrtool.comparison.verdict import verdict
from lrtool.errors import UsageError
from lrtool.report.answers import answer
from lrtool.report.html.facts import KeyTable, Reproduction, as_words, config_differences, environments, recipe
from lrtool.report.html.lr_chart import LrChart
from lrtool.report.html.reading import read_runs
from lrtool.report.html.record import RunRecord, TrialRecord
from lrtool.report.plots.style import metric_name, number

#: Trials that are compared: more would take memory and minutes.
_MOST_COMPARED = 10_000
#: Answers that are said one by one, and recipes that are given.
_MOST_ANSWERS, _MOST_RECIPES = 12, 30
#: Settings that get a column each.
_MOST_KEYS = 16
#: Keys that say which seed, where and how long a record; not what was trained.
_NOT_SETTINGS = ("seed", "name", "device", "range_test", "train.eval_every", "train.checkpoint_every", "train.best")
#: How much an answer says: a comparison rests on most trainings, a single run on one.
_ORDER = ("tune", "range-test", "sweep", "train")


@dataclass(frozen=True)
class Page:
    """All that a report shows.

    `answers`: sentences, the first is the headline. `metric`: what trials are judged by, `higher` whether more of it is
    better. `keys`: settings in which trials differ. `trials`: pairs of a run's place in `runs` and one of its trials.
    """

    title: str
    made: str
    runs: Sequence[RunRecord]
    answers: Sequence[str]
    notes: Sequence[str]
    metric: str
    higher: bool
    keys: Sequence[str]
    trials: Sequence[tuple[int, TrialRecord]] = field(repr=False)
    lr_charts: Sequence[LrChart] = field(repr=False)
    comparison: ComparisonResult | None = field(repr=False)
    differences: KeyTable = field(repr=False)
    environment: tuple[KeyTable, KeyTable] = field(repr=False)
    recipes: Sequence[Reproduction] = field(repr=False)

    @classmethod
    def of(cls, patterns: Sequence[str]) -> Page:
        """From run folders and globs of them; raises UsageError where there is nothing to show."""
        runs, notes = read_runs(patterns)
        trials = [(place, trial) for place, run in enumerate(runs) for trial in run.trials]
        comparison, why_not = _compared(runs)
        metric, higher = _metric(runs, comparison)
        names = list(dict.fromkeys(run.name for run in runs))
        more = [f"{run.label}: {note}" for run in runs for note in [*run.notes, *_caveats(run)]]
        more += comparison.notes if comparison is not None else why_not
        return cls(
            title=", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""),
            made=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}", runs=runs,
            answers=list(_answers(runs, comparison)), notes=[*notes, *more], metric=metric, higher=higher,
            keys=_differing(trials), trials=trials,
            lr_charts=[chart for run in runs if (chart := LrChart.of(run)) is not None],
            comparison=comparison, differences=config_differences(runs), environment=environments(runs),
            recipes=[recipe(run) for run in runs[:_MOST_RECIPES]],
        )  # fmt: skip


def _caveats(run: RunRecord) -> list[str]:
    """What a range test or a tune says about its own answer."""
    found = [run.summary.get(key) for key in ("caveats", "warnings")]
    return [str(each) for many in found if isinstance(many, list) for each in many]


def _compared(runs: Sequence[RunRecord]) -> tuple[ComparisonResult | None, list[str]]:
    """The comparison of all trained runs; None, and why, where there are not two variants to compare."""
    trained = [run for run in runs if run.command in ("train", "sweep") and run.trials]
    count = sum(len(run.trials) for run in trained)
    if count < 2:
        return None, []
    if count > _MOST_COMPARED:
        return None, [f"variants are not compared: {count:,} trials are more than {_MOST_COMPARED:,}"]
    done = [run for run in trained if run.command == "sweep" or run.summary]
    try:
        result, _ = compare_runs([str(run.path) for run in done], None, None, (), None)
    except UsageError as error:
        return None, [f"variants are not compared: {error}"]
    return (result, []) if len(result.variants) > 1 else (None, [])


def _metric(runs: Sequence[RunRecord], comparison: ComparisonResult | None) -> tuple[str, bool]:
    if comparison is not None:
        return comparison.metric, comparison.comparison.higher_is_better
    validated = any("val_loss" in trial.values for run in runs for trial in run.trials)
    return ("val_loss" if validated else "train_loss"), False


def _answers(runs: Sequence[RunRecord], comparison: ComparisonResult | None) -> Iterator[str]:
    """The answers, those that say most first."""
    if comparison is not None:
        yield _best(comparison)
    order = sorted(runs, key=lambda run: _ORDER.index(run.command) if run.command in _ORDER else len(_ORDER))
    several = len(runs) > 1
    for run in order[:_MOST_ANSWERS]:
        if comparison is not None and run.command in ("train", "sweep") and len(runs) > _MOST_ANSWERS:
            continue
        said = answer(run.summary) if run.summary else _unfinished(run)
        yield f"{run.label}: {said}" if several else said
    if len(order) > _MOST_ANSWERS:
        yield f"{len(order) - _MOST_ANSWERS:,} more runs are in the tables."


def _unfinished(run: RunRecord) -> str:
    steps = sum(trial.steps for trial in run.trials)
    return f"No answer yet: the run has not ended; {steps:,} updates so far."


def _best(result: ComparisonResult) -> str:
    """The best variant with its interval, and what the seeds can tell."""
    row, what = result.rows(1)[0], metric_name(result.metric)
    if row["mean"] is None:
        return f"{verdict(result.comparison).capitalize()}."
    chosen = ", ".join(f"{key} {as_words(value)}" for key, value in row["chosen"].items())
    between = f", 95% interval {number(row['low'])} … {number(row['high'])}" if row["low"] is not None else ""
    by = f"{row['variant']}{f' at {chosen}' if chosen else ''}, {row['seeds']} seed{'s' * (row['seeds'] != 1)}"
    return f"Best mean {what}: {number(row['mean'])}{between}, by {by}; {verdict(result.comparison)}."


def _differing(trials: Sequence[tuple[int, TrialRecord]]) -> list[str]:
    """Settings in which trials differ, the LR first; seeds and names have columns of their own."""
    first: dict[str, Any] = {}
    found: dict[str, None] = {}
    some = [trial for _, trial in trials if trial.kind == "training"] or [trial for _, trial in trials]
    for trial in some:
        for key, value in trial.settings.items():
            if key not in first:
                first[key] = value
            elif key not in found and value != first[key]:
                found[key] = None
    kept = [key for key in found if not any(key == each or key.startswith(f"{each}.") for each in _NOT_SETTINGS)]
    return sorted(kept, key=lambda key: (key != LR, not key.endswith(".kind")))[:_MOST_KEYS]


def run_rows(runs: Sequence[RunRecord]) -> list[Mapping[str, str]]:
    """A row a run for the table of runs."""
    return [
        {
            "run": run.label, "command": run.command, "status": run.status,
            "started": str(run.environment.get("started") or ""), "trials": f"{len(run.trials):,}",
            "updates": f"{run.summary.get('steps', sum(trial.steps for trial in run.trials)):,}",
            "seconds": as_words(run.summary.get("seconds")), "folder": str(run.path),
        }
        for run in runs
    ]  # fmt: skip
