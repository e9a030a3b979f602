"""Sweeps: every trial of a plan, trained in groups, each recorded the moment it ends, resumable at any point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lrtool.config.sweep.load import Sweep, load_sweep
from lrtool.errors import uncovered
from lrtool.executors import Executor
from lrtool.experiments.observers import ObserverFactory
from lrtool.experiments.resuming.sweeps import check_unchanged
from lrtool.experiments.session import Session, session
from lrtool.experiments.sweep.arrivals import Arrivals
from lrtool.experiments.sweep.options import Board, Options
from lrtool.experiments.sweep.rungs import PRUNED
from lrtool.experiments.sweep.tpe import require_optuna
from lrtool.experiments.tracking.trials import TrackedBoard
from lrtool.loggers import Logger, wanted
from lrtool.runs.folder import RunFolder
from lrtool.runs.sweep.leaders import Leaders
from lrtool.runs.sweep.store import DAMAGED, StoredTrial, SweepStore
from lrtool.runs.sweep.trials_csv import write_trials
from lrtool.status import Status

#: Variants that the summary names.
_LEADERS = 10
#: How a trial can end.
_OVER = [status for status in Status if status.is_finished]


def run_sweep(sweep: Sweep, output: Path, options: Options, board: Board, watch: ObserverFactory) -> Session:
    """Train every trial of a sweep into a new run folder.

    `watch(trials, steps)` makes the observer of each LR search. Raises OutputError where the folder cannot be
    written and ConfigError where the plan cannot be made; a trial that fails is recorded, and the sweep goes on.
    """
    # What cannot be done leaves no folder behind.
    sweep.trials()
    if sweep.config.sampler == "tpe":
        require_optuna()
    loggers = wanted(sweep.loggers)
    with _started(sweep, options, output, board) as executor:
        folder = RunFolder.create(output, sweep.config.name, "sweep")
        # Before anything else: with it the run can be resumed.
        folder.write_text("config.yaml", sweep.config.to_yaml())
        return _carry_out(sweep, folder, options, executor, board, watch, loggers)


def resume_sweep(
    folder: RunFolder, options: Options, board: Board, watch: ObserverFactory, most: int, force: bool = False
) -> Session:
    """Train what is missing of a sweep, in its own folder; the results equal those of never having stopped.

    Raises UsageError, and changes nothing, where another process works on it, something in the folder leads out of it,
    it is no sweep's, or its config, code or data were changed (unless `force`).
    """
    sweep = load_sweep(folder.config, most=most, code_beside=False)
    if sweep.config.sampler == "tpe":
        require_optuna()
    loggers = wanted(sweep.loggers)
    with _started(sweep, options, folder.path.parent, board) as executor:
        return _carry_out(sweep, folder, options, executor, board, watch, loggers, force)


@contextmanager
def _started(sweep: Sweep, options: Options, output: Path, board: Board) -> Iterator[Executor | None]:
    """The executor that is asked for, if any, until the sweep is over."""
    if options.is_elsewhere:
        board.note(f"{options.executor}: asking what is there")
    executor = options.start(sweep.config, sweep.base, options.allow_import, output)
    with executor or nullcontext():
        yield executor


def _carry_out(
    sweep: Sweep,
    folder: RunFolder,
    options: Options,
    executor: Executor | None,
    board: Board,
    watch: ObserverFactory,
    loggers: Sequence[Logger],
    force: bool = False,
) -> Session:
    folder.check()
    # The store has the folder's lock; what is refused comes before anything else is written.
    with SweepStore(folder.path, board.note) as store:
        notes = check_unchanged(store, sweep, folder, options.allow_import, force)
        with session(folder, "sweep", sweep.config, sweep.base.device, loggers) as run:
            for note in notes:
                board.note(f"note: {note}")
            _train(sweep, folder, options, executor, store, board, watch, run)
            run.results["notes"] += notes
    return run


def _train(
    sweep: Sweep,
    folder: RunFolder,
    options: Options,
    executor: Executor | None,
    store: SweepStore,
    board: Board,
    watch: ObserverFactory,
    run: Session,
) -> None:
    """Train what is missing, and say what came of it."""
    _check_damage(store, sweep, board)
    tracked = TrackedBoard(board, run.tracker.trial)
    arrivals = Arrivals(sweep, folder, options, executor, store, tracked, watch)
    try:
        with uncovered():
            arrivals.train()
    except KeyboardInterrupt as stop:
        stop.add_note(f"go on with: lrtool sweep --resume {folder.path}")
        raise
    finally:
        run.steps = store.steps()
    _conclude(run, store.trials(), arrivals)


def _check_damage(store: SweepStore, sweep: Sweep, board: Board) -> None:
    """Who was pruned depended on trials that may be lost, and on what they had reached then."""
    if sweep.config.prune is not None and store.fact(DAMAGED) is not None:
        board.note("which variants were pruned cannot be said any more: all trials are trained again")
        store.forget(PRUNED)


def _failures(trials: list[StoredTrial]) -> list[dict[str, Any]]:
    """Why trials failed: each reason once, with how many and one of them, the most frequent first."""
    failed = [trial for trial in trials if trial.status is Status.FAILED]
    counts = Counter(trial.message for trial in failed)
    first = {trial.message: trial.variant for trial in reversed(failed)}
    return [{"message": text, "trials": count, "variant": first[text]} for text, count in counts.most_common()]


def _conclude(run: Session, trials: list[StoredTrial], arrivals: Arrivals) -> None:
    """`trials.csv` and the summary."""
    write_trials(run.folder, trials)
    counts = Counter(trial.status for trial in trials)
    leaders = Leaders(trials)
    ranked = leaders.ranked()
    run.results = {
        "trials": {"planned": arrivals.planned, **{name: counts[name] for name in _OVER}},
        "metric": leaders.metric,
        "leaders": [
            {"variant": each.variant, "settings": each.settings, "mean": each.mean, "finished": each.finished,
             "diverged_or_failed": each.others}
            for each in ranked[:_LEADERS]
        ],
        "engines": arrivals.trainer.decisions(),
        "tuned": arrivals.tuned,
        "failures": _failures(trials),
        "notes": arrivals.notes,
    }  # fmt: skip
    if not counts[Status.FINISHED]:
        run.status = Status.DIVERGED if counts[Status.DIVERGED] else Status.FAILED
        run.reason = next((trial.message for trial in trials if trial.message), "no trial finished")
