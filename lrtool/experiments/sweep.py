"""Sweeps: every trial of a plan, trained in groups, each recorded the moment it ends, resumable at any point."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lrtool.config.combinations import PlannedTrial
from lrtool.config.schema import Config
from lrtool.config.sweep import Assignments
from lrtool.config.sweep_load import Sweep, load_sweep
from lrtool.engine.choose import choose_engine
from lrtool.engine.vector import VectorEngine
from lrtool.errors import LrtoolError, OutputError, UsageError
from lrtool.executors.base import Executor
from lrtool.executors.inprocess import InProcess
from lrtool.executors.local import LocalProcesses, cores
from lrtool.experiments.grouping import Group, group_trials
from lrtool.experiments.halving import RUNG, halve
from lrtool.experiments.jobs import WHOLE, Advance, Job, Part, Said, recipe_of, setup_of, train, trial_of
from lrtool.experiments.outcome import failed
from lrtool.experiments.runner import Watch
from lrtool.experiments.session import Session, session
from lrtool.experiments.setup import prepare
from lrtool.experiments.tpe import next_samples, require_optuna
from lrtool.experiments.tune import run_tune
from lrtool.runs.folder import RunFolder
from lrtool.runs.leaders import Leaders
from lrtool.runs.store import StoredTrial, SweepStore
from lrtool.runs.trials_csv import write_trials

#: Bytes that the traces of one job may take.
_TRACES = 256 * 2**20
#: Bytes of one update in a trace, everything recorded.
_PER_UPDATE = 8 * 6
#: Updates that one process should at least have to do: starting it takes some seconds.
_WORTH_A_PROCESS = 20_000
#: Variants that the summary names.
_LEADERS = 10

#: How a trial can end.
_OVER = ("finished", "diverged", "failed", "pruned")

_LOG = logging.getLogger("lrtool")


class Board(Protocol):
    """Who shows how a sweep goes on."""

    def begin(self, trials: int, known: Sequence[StoredTrial]) -> None:
        """So many trials are to be trained; others are known already."""

    def said(self, text: str) -> None:
        """Something to know."""

    def advanced(self, steps: int) -> None:
        """Updates were done."""

    def ended(self, trial: StoredTrial) -> None:
        """A trial has ended, and is recorded."""


@dataclass(frozen=True)
class Options:
    """How a sweep is carried out. `executor`: auto, in-process or local; `workers` of the latter, unsaid: cores."""

    allow_import: frozenset[str] = frozenset()
    executor: str = "auto"
    workers: int | None = None
    retry_failed: bool = False


@dataclass(frozen=True)
class Decision:
    """Which engine trains a group and why; remembered, so that a resumed sweep computes the same."""

    engine: str
    compiled: bool | None
    reason: str


def run_sweep(sweep: Sweep, output: Path, options: Options, board: Board, watch: Watch) -> Session:
    """Train every trial of a sweep into a new run folder.

    `watch(trials, steps)` makes the observer of each LR search. Raises OutputError where the folder cannot be
    written and ConfigError where the plan cannot be made; a trial that fails is recorded, and the sweep goes on.
    """
    # What cannot be done leaves no folder behind.
    sweep.trials()
    if sweep.config.sampler == "tpe":
        require_optuna()
    folder = RunFolder.create(output, sweep.config.name, "sweep")
    # Before anything else: with it the run can be resumed.
    folder.write_text("config.yaml", sweep.config.to_yaml())
    return _carry_out(sweep, folder, options, board, watch)


def resume_sweep(folder: RunFolder, options: Options, board: Board, watch: Watch, most: int) -> Session:
    """Train what is missing of a sweep, in its own folder; the results equal those of never having stopped.

    Raises UsageError where another process works on it, or the folder is not a sweep's.
    """
    return _carry_out(load_sweep(folder.config, most=most), folder, options, board, watch)


def _carry_out(sweep: Sweep, folder: RunFolder, options: Options, board: Board, watch: Watch) -> Session:
    with (
        SweepStore(folder.path, board.said) as store,
        session(folder, "sweep", sweep.config, sweep.base.device) as run,
    ):
        _check_plan(store, sweep, folder)
        runner = _Runner(sweep, folder, options, store, board, watch)
        try:
            runner.run()
        except KeyboardInterrupt as stop:
            stop.add_note(f"go on with: lrtool sweep --resume {folder.path}")
            raise
        finally:
            run.steps = store.steps()
        _conclude(run, store.trials(), runner)
    return run


def _check_plan(store: SweepStore, sweep: Sweep, folder: RunFolder) -> None:
    """The trials in the store are those of this plan."""
    plan = sweep.config.hash()
    known = store.fact("plan")
    if known is None:
        store.remember("plan", plan)
    elif known != plan:
        raise UsageError(
            "its config.yaml was changed since the sweep began, so old and new trials do not belong together",
            where=str(folder.path),
            remedy="start a new sweep with the changed config",
        )


def _conclude(run: Session, trials: list[StoredTrial], runner: _Runner) -> None:
    """`trials.csv` and the summary."""
    write_trials(run.folder, trials)
    counts = Counter(trial.status for trial in trials)
    leaders = Leaders(trials)
    ranked = leaders.ranked()
    run.results = {
        "trials": {"planned": runner.planned, **{name: counts[name] for name in _OVER}},
        "metric": leaders.metric,
        "leaders": [
            {"variant": each.variant, "settings": each.settings, "mean": each.mean, "finished": each.finished,
             "diverged_or_failed": each.others}
            for each in ranked[:_LEADERS]
        ],
        "engines": runner.decisions(),
        "tuned": runner.tuned,
    }  # fmt: skip
    if not counts["finished"]:
        run.status = "diverged" if counts["diverged"] else "failed"
        run.reason = next((trial.message for trial in trials if trial.message), "no trial finished")


class _Runner:
    """One go at a sweep: decides, makes jobs, records."""

    def __init__(
        self, sweep: Sweep, folder: RunFolder, options: Options, store: SweepStore, board: Board, watch: Watch
    ) -> None:
        self._sweep, self._folder, self._options = sweep, folder, options
        self._store, self._board, self._watch = store, board, watch
        self._groups: list[Group] = []
        self.tuned: dict[str, float | None] = {}
        self.planned = 0

    def run(self) -> None:
        """Train what is missing."""
        if self._sweep.config.sampler == "tpe":
            self._search()
            return
        lrs, untuned = self._tuned_lrs()
        missing = self._plan(lrs, None)
        for trial in [trial for group in self._groups for trial in group.trials]:
            if trial.variant in untuned and trial.number in missing:
                self._store.record(failed(trial, f"no LR can be named for this variant: {untuned[trial.variant]}"))
                missing.remove(trial.number)
        self._begin(missing)
        prune = self._sweep.config.prune
        if prune is not None:
            halve(self._store, prune, missing, self._train, self._board.ended)
        self._train(missing, WHOLE)

    def _search(self) -> None:
        """Batch after batch of samples, each drawn from what those before it have shown."""
        require_optuna()
        config = self._sweep.config
        assert config.samples is not None
        samples: list[Assignments] = self._store.fact("samples") or []
        while True:
            missing = self._plan({}, samples)
            self._begin(missing)
            self._train(missing, WHOLE)
            if len(samples) >= config.samples:
                return
            count = min(config.batch, config.samples - len(samples))
            samples = [*samples, *next_samples(config, samples, self._store.trials(), count)]
            # Before any of them is trained: a resumed sweep trains the same.
            self._store.remember("samples", samples)

    def _plan(self, lrs: Mapping[str, Assignments], samples: Sequence[Assignments] | None) -> set[int]:
        """Group all trials; the numbers of those that are to be trained."""
        planned = self._sweep.trials(lrs, samples)
        self.planned, self._groups = len(planned), group_trials(planned)
        over = {number for number, status in self._store.statuses().items() if self._is_over(status)}
        return {trial.number for trial in planned} - over

    def _begin(self, missing: set[int]) -> None:
        self._board.begin(len(missing), [trial for trial in self._store.trials() if self._is_over(trial.status)])

    def _is_over(self, status: str) -> bool:
        """Whether a recorded trial is not to be trained any more."""
        return not status.startswith(RUNG) and not (status == "failed" and self._options.retry_failed)

    def decisions(self) -> list[dict[str, Any]]:
        """How many trials each group has, and which engine trained it and why."""
        known = [(len(group.trials), self._store.fact(f"engine:{group.key}")) for group in self._groups]
        return [{"trials": count, "engine": made["engine"], "reason": made["reason"]} for count, made in known if made]

    def _train(self, missing: set[int], part: Part) -> None:
        """Stacks one after the other, as they use all cores; then all that is trained one by one, side by side."""
        one_by_one: list[Job] = []
        for group in self._groups:
            wanted = [trial for trial in group.trials if trial.number in missing]
            if not wanted:
                continue
            decision = self._decide(group)
            if decision.engine == "loop":
                one_by_one += [self._job(group, decision, [trial], part) for trial in wanted]
                continue
            self._stacked(group, decision, wanted, part)
        self._do(self._executor(one_by_one), one_by_one)

    def _stacked(self, group: Group, decision: Decision, wanted: list[PlannedTrial], part: Part) -> None:
        most = max(2, _TRACES // (_PER_UPDATE * _updates(group, self._options.allow_import)))
        executor: Executor = InProcess()
        if self._options.executor == "local":
            executor = LocalProcesses(self._options.workers or cores())
            most = min(most, max(2, -(-len(wanted) // executor.workers)))
            # Processes that measured for themselves might decide differently.
            decision = replace(decision, compiled=False)
        jobs = [self._job(group, decision, some, part) for some in _parts(wanted, most)]
        if isinstance(executor, InProcess):
            for job in jobs:
                # The first says whether it compiles; the others follow.
                self._do(executor, [replace(job, compiled=self._compiled(group, decision))])
        else:
            self._do(executor, jobs)

    def _compiled(self, group: Group, decision: Decision) -> bool | None:
        known = self._store.fact(f"compiled:{group.key}")
        return known if known is not None else decision.compiled

    def _job(self, group: Group, decision: Decision, trials: list[PlannedTrial], part: Part) -> Job:
        company: tuple[PlannedTrial, ...] = ()
        if decision.engine == "vector" and len(trials) == 1:
            company = tuple(trial for trial in group.trials if trial is not trials[0])[:1]
        allowed = self._options.allow_import
        return Job(group.key, group.config, tuple(trials), decision.engine, decision.compiled, allowed, company, part)

    def _executor(self, jobs: Sequence[Job]) -> Executor:
        """Who trains trials that are not stacked."""
        chosen, workers = self._options.executor, self._options.workers or cores()
        if chosen == "local":
            return LocalProcesses(workers)
        if chosen == "in-process" or workers < 2 or len(jobs) < 2 or self._sweep.base.device not in ("auto", "cpu"):
            return InProcess()
        try:
            updates = sum(_updates_of(job) for job in jobs)
        except LrtoolError:
            return InProcess()
        return LocalProcesses(workers) if updates >= _WORTH_A_PROCESS else InProcess()

    def _do(self, executor: Executor, jobs: Sequence[Job]) -> None:
        executor.run(train, jobs, self._heard, self._lost)

    def _heard(self, report: StoredTrial | Advance | Said) -> None:
        match report:
            case Advance():
                self._board.advanced(report.steps)
            case Said():
                _LOG.info(report.text)
                self._store.remember(f"compiled:{report.key}", report.text.startswith("compiled"))
            case StoredTrial():
                self._store.record(report)
                if report.message:
                    _LOG.info("trial %d (%s) %s: %s", report.number, report.variant, report.status, report.message)
                if not report.status.startswith(RUNG):
                    self._board.ended(report)

    def _lost(self, job: Job, why: str) -> None:
        """A process died: the trials it had not reported are recorded as failed."""
        known = self._store.statuses()
        for trial in job.trials:
            if known.get(trial.number, "failed") == "failed":
                self._heard(failed(trial, why))

    def _decide(self, group: Group) -> Decision:
        """The group's engine, as decided before or by trying."""
        known = self._store.fact(f"engine:{group.key}")
        if known is not None:
            return Decision(**known)
        decision = decide(group, self._options.allow_import)
        self._store.remember(f"engine:{group.key}", vars(decision))
        _LOG.info("%d trials like %s: %s", len(group.trials), group.trials[0].variant, decision.reason)
        return decision

    def _tuned_lrs(self) -> tuple[dict[str, Assignments], dict[str, str]]:
        """What each variant's LR search found: LRs to set, and reasons where there is none."""
        tune = self._sweep.config.tune
        if tune is None:
            return {}, {}
        lrs: dict[str, Assignments] = {}
        untuned: dict[str, str] = {}
        for label, config in self._sweep.planner.variants():
            found = self._store.fact(f"tuned:{label}")
            if found is None:
                found = self._tune(label, config, tune.budget)
                self._store.remember(f"tuned:{label}", found)
            self.tuned[label] = found["lr"]
            if found["lr"] is None:
                untuned[label] = found["reason"]
            else:
                lrs[label] = {"optimizer.lr": found["lr"]}
        return lrs, untuned

    def _tune(self, label: str, config: Config, budget: float) -> dict[str, Any]:
        """Find one variant's best LR; its run folder is kept below `tune/`."""
        named = config.model_copy(update={"name": label}).beside(config.folder)
        try:
            setup = prepare(named, self._options.allow_import)
            _, result = run_tune(setup, self._folder.path / "tune", self._watch, budget)
        except OutputError:
            raise
        except LrtoolError as error:
            return {"lr": None, "reason": str(error)}
        best = result.best.response
        return {"lr": best.lr, "reason": best.reason.value if best.reason is not None else ""}


def decide(group: Group, allow_import: Collection[str]) -> Decision:
    """Which engine trains a group; a group that cannot even be built is left to the loop, which says why."""
    try:
        setup = setup_of(group, frozenset(allow_import))
        recipe = recipe_of(setup)
        trials = [trial_of(setup, planned) for planned in group.trials]
        engine, reason = choose_engine(setup.task, trials, recipe)[:2]
    except LrtoolError as error:
        return Decision("loop", None, f"loop: {str(error).splitlines()[0]}")
    return Decision("vector" if isinstance(engine, VectorEngine) else "loop", None, reason)


def _parts(trials: list[PlannedTrial], most: int) -> list[list[PlannedTrial]]:
    """Even parts of at most so many trials."""
    count = -(-len(trials) // most)
    return [trials[len(trials) * at // count : len(trials) * (at + 1) // count] for at in range(count)]


def _updates(group: Group, allow_import: frozenset[str]) -> int:
    return setup_of(group, allow_import).steps


def _updates_of(job: Job) -> int:
    """Updates of a job whose length is known without its data; a guess of 1,000 where it counts epochs."""
    duration = job.config.train.duration
    return len(job.trials) * (duration.steps() if duration.unit == "steps" else 1000)
