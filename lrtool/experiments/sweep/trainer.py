"""Training of a sweep's trials: by the engine and executor that suit them, each recorded the moment it ends."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from typing import Any

from lrtool.config.sweep.planner import PlannedTrial
from lrtool.engine.trials import EngineName
from lrtool.errors import LrtoolError
from lrtool.executors import Executor, unasked
from lrtool.executors.inprocess import InProcess
from lrtool.experiments.sweep.decision import Decision, Outlook, decide, said_of, share
from lrtool.experiments.sweep.grouping import Group, group_trials
from lrtool.experiments.sweep.jobs import Advance, HowTrained, Job, Part, left, most_trials, setup_of, train
from lrtool.experiments.sweep.options import Board, Options
from lrtool.experiments.sweep.outcome import failed
from lrtool.runs.sweep.store import HIGHER_IS_BETTER, LOSS, StoredTrial, SweepStore
from lrtool.status import Status

_LOG = logging.getLogger("lrtool")


class Trainer:
    """Trains trials of a sweep: decides for each group, makes jobs, records what they report.

    `executor`: the one that is asked for; None: whichever is worth it. `device`: where all train; `outlook`: what the
    groups of trials known so far will grow to.
    """

    def __init__(
        self,
        options: Options,
        executor: Executor | None,
        device: str,
        store: SweepStore,
        board: Board,
        outlook: Outlook,
    ) -> None:
        self._options, self._device, self._store, self._board = options, device, store, board
        self._asked = executor
        spread = self._asked is not None and not self._asked.in_this_process
        self._outlook = replace(outlook, workers=self._asked.workers if self._asked and spread else None)
        self._groups: dict[str, Group] = {}
        self._home: dict[int, tuple[str, PlannedTrial]] = {}
        self._progress = store.progress()
        failures = {number for number, progress in self._progress.items() if progress.status is Status.FAILED}
        self._again = failures if options.retry_failed else set()
        self._fraction = 1.0

    def add(self, trials: Sequence[PlannedTrial]) -> None:
        """Make trials known, so that each finds its company."""
        for group in group_trials(trials):
            self._home.update({trial.number: (group.key, trial) for trial in group.trials})
            before = self._groups.get(group.key)
            self._groups[group.key] = group if before is None else replace(before, trials=before.trials + group.trials)

    def train(self, numbers: Collection[int], part: Part) -> None:
        """Train a part of these trials, but for those that have got through it, or are over.

        Stacks one after the other, as they use all cores; then all that is trained one by one, side by side.
        """
        self._fraction = part.fraction
        wanted: dict[str, list[PlannedTrial]] = {}
        for number in sorted(numbers):
            if not self.is_over(number) and self._progress.get(number) != part.reached:
                key, trial = self._home[number]
                wanted.setdefault(key, []).append(trial)
        one_by_one: list[Job] = []
        for key, trials in wanted.items():
            group = self._groups[key]
            decision = self._decide(group)
            if decision.engine is EngineName.VECTOR:
                self._stacked(group, decision, trials, part)
            else:
                one_by_one += [self._job(group, decision, [trial], part) for trial in trials]
        self._do(self._executor(one_by_one), one_by_one)

    def is_over(self, number: int) -> bool:
        """Whether a trial has ended and is not to be trained any more."""
        progress = self._progress.get(number)
        return progress is not None and progress.status.is_finished and number not in self._again

    def record(self, trial: StoredTrial) -> None:
        """A trial has ended, or waits for its rivals."""
        self._store.record(trial)
        self._known(trial)

    def record_together(self, trials: Sequence[StoredTrial], key: str, value: Any) -> None:
        """These trials are over by a decision, which is remembered under a key."""
        self._store.record_together(trials, key, value)
        for trial in trials:
            self._known(trial)

    def decisions(self) -> list[dict[str, Any]]:
        """How many trials each group has, and which engine trained it and why; what was measured stands in the log."""
        known = [(len(group.trials), self._store.fact(_key(group))) for group in self._groups.values()]
        return [{"trials": count, "engine": made["engine"], "reason": made["reason"]} for count, made in known if made]

    def _known(self, trial: StoredTrial) -> None:
        self._progress[trial.number] = trial.progress
        self._again.discard(trial.number)
        if trial.status.is_finished:
            self._board.ended(trial)

    def _stacked(self, group: Group, decision: Decision, trials: list[PlannedTrial], part: Part) -> None:
        most = most_trials(setup_of(group, self._options.allow_import).steps)
        executor = self._asked or InProcess()
        if not executor.in_this_process:
            most = min(most, share(trials, executor.workers))
        self._do(executor, [self._job(group, decision, some, part) for some in _parts(trials, most)])

    def _job(self, group: Group, decision: Decision, trials: list[PlannedTrial], part: Part) -> Job:
        company: tuple[PlannedTrial, ...] = ()
        if decision.engine is EngineName.VECTOR and len(trials) == 1:
            company = tuple(trial for trial in group.trials if trial is not trials[0])[:1]
        allowed = self._options.allow_import
        return Job(group.key, group.config, tuple(trials), decision.engine, decision.compiled, allowed, company, part)

    def _executor(self, jobs: Sequence[Job]) -> Executor:
        """Who trains trials that are not stacked."""
        if self._asked is not None:
            return self._asked
        if len(jobs) < 2 or self._device not in ("auto", "cpu", "cuda"):
            return InProcess()
        try:
            updates = sum(_updates_of(job) for job in jobs)
        except LrtoolError:
            return InProcess()
        return unasked(updates, self._options.workers, self._device)

    def _do(self, executor: Executor, jobs: Sequence[Job]) -> None:
        executor.run(train, jobs, self._heard, self._lost, left)

    def _heard(self, report: StoredTrial | Advance | HowTrained) -> None:
        match report:
            case Advance():
                self._board.advanced(report.steps)
            case HowTrained():
                _LOG.info(report.text)
            case StoredTrial():
                if report.message:
                    _LOG.info("trial %d (%s) %s: %s", report.number, report.variant, report.status, report.message)
                self._board.worked(self._fraction)
                self.record(report)

    def _lost(self, job: Job, why: str) -> None:
        """A process died: the trials it had not reported are recorded as failed."""
        for trial in job.trials:
            progress = self._progress.get(trial.number)
            if progress != job.part.reached and not self.is_over(trial.number):
                self._heard(failed(trial, why))

    def _decide(self, group: Group) -> Decision:
        """The group's engine, as decided before or by trying."""
        known = self._store.fact(_key(group))
        if known is not None:
            return Decision.parse(known)
        decision = decide(group, self._options.allow_import, self._outlook)
        self._store.remember(_key(group), asdict(decision))
        higher, loss = said_of(group, self._options.allow_import)
        self._store.remember(HIGHER_IS_BETTER, {**(self._store.fact(HIGHER_IS_BETTER) or {}), **higher})
        known = self._store.fact(LOSS)
        # Of groups whose losses differ there is none to name.
        self._store.remember(LOSS, loss if known in (None, loss) else {})
        _LOG.info("%d trials like %s: %s", len(group.trials), group.trials[0].variant, decision.text)
        return decision


def _key(group: Group) -> str:
    return f"engine:{group.key}"


def _parts(trials: list[PlannedTrial], most: int) -> list[list[PlannedTrial]]:
    """Even parts of at most so many trials."""
    count = -(-len(trials) // most)
    return [trials[len(trials) * at // count : len(trials) * (at + 1) // count] for at in range(count)]


def _updates_of(job: Job) -> int:
    """Updates of a job whose length is known without its data; a guess of 1,000 where it counts epochs."""
    duration = job.config.train.duration
    return len(job.trials) * (duration.steps() if duration.unit == "steps" else 1000)
