"""Engines whose trials are trained by an executor: for commands that ask for many trials call after call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import replace

from lrtool.engine import clock
from lrtool.engine.observer import Observer
from lrtool.engine.trials import EngineName, Recipe, Trace, Trial
from lrtool.errors import TaskError
from lrtool.executors import Executor
from lrtool.experiments.engines import Engines
from lrtool.experiments.resuming.search_memory import SearchMemory
from lrtool.experiments.setup import Setup
from lrtool.experiments.spread.trials import Ended, Failure, TrialsJob, changes_of, left, sendable, train
from lrtool.tasks.base import Task

#: A stack of two may lose one and is then no stack; of three or more, even parts never are of one.
_LEAST = 3


class SpreadEngines(Engines):
    """Trains trials as jobs of an executor, stacked or one by one, as is measured to be faster here.

    What machines elsewhere train counts as long as it takes them, shared evenly; how long jobs wait for a machine does
    not count. Raises TaskError where a job is lost for good.
    """

    def __init__(
        self,
        executor: Executor,
        setup: Setup,
        allow_import: Collection[str] = (),
        wanted: EngineName = EngineName.AUTO,
    ) -> None:
        super().__init__(wanted)
        self._executor, self._setup, self._allow_import = executor, setup, frozenset(allow_import)

    @property
    def here(self) -> bool:
        """Whether trials train on this machine."""
        return not self._executor.elsewhere

    def of(self, setup: Setup) -> SpreadEngines:
        """The same for another setup, with all that is known of speeds; its files are among those that travelled."""
        other = copy(self)
        other._setup = setup
        return other

    def run(
        self,
        task: Task,
        trials: Sequence[Trial],
        recipe: Recipe,
        observer: Observer | None = None,
        memory: SearchMemory | None = None,
        first: int = 0,
    ) -> list[Trace]:
        """Train every trial that `memory` does not know; traces in the order of the trials."""
        if not trials:
            return []
        self._memory = memory or SearchMemory()
        name = self._engine_for(task, trials, recipe)
        watching = observer or Observer()
        watching.begin(trials)
        known = {number: self._memory.known(first + number, trial) for number, trial in enumerate(trials)}
        traces = {number: trace for number, trace in known.items() if trace is not None}

        others, worked = clock.Others(), 0.0

        def heard(report: Ended | Failure) -> None:
            nonlocal worked
            if isinstance(report, Failure):
                report.raised()
            traces[report.number] = trace = replace(report.trace, trial=trials[report.number])
            worked += float(trace.seconds.sum()) / self._executor.workers
            # First: what is remembered of the trial says how much was spent by then.
            others.did(worked)
            replay(watching, report.number, trace)

        self._executor.run(train, list(self._jobs(task, trials, recipe, name, traces)), heard, _lost, left)
        others.did(worked)
        return [traces[number] for number in range(len(trials))]

    def _engine_for(self, task: Task, trials: Sequence[Trial], recipe: Recipe) -> EngineName:
        """Which engine trains them, as it was decided before, where it was."""
        before = self._memory.recall("engine")
        if before is None:
            choice = self.choose(task, trials, recipe)
            before = {"name": choice.name, "reason": choice.reason, "trials": len(trials), "workers": None}
            self._memory.remember("engine", before)
        name = EngineName(before["name"])
        self._trained[name, before["reason"]] += sum(trial.steps for trial in trials)
        return name

    def _jobs(
        self, task: Task, trials: Sequence[Trial], recipe: Recipe, engine: EngineName, known: Collection[int]
    ) -> Iterator[TrialsJob]:
        numbered = [(number, sendable(trial)) for number, trial in enumerate(trials) if number not in known]
        most, company = 1, tuple[Trial, ...]()
        if engine is EngineName.VECTOR:
            most = max(_LEAST, -(-len(numbered) // self._executor.workers))
            if len(numbered) == 1 and known:
                company = (sendable(trials[min(known)]),)
        parts = -(-len(numbered) // most)
        allowed, changed = self._allow_import, changes_of(recipe)
        for at in range(parts):
            some = tuple(numbered[len(numbered) * at // parts : len(numbered) * (at + 1) // parts])
            yield TrialsJob(self._setup.config, allowed, some, engine, changed, task.val is not None, company)


def _lost(job: TrialsJob, why: str) -> None:
    raise TaskError(
        f"{len(job.trials)} trials could not be trained: {why}",
        where=job.trials[0][1].label or None,
        remedy="look at the logs of that node; more memory for each job comes with cluster: {cpus: …}",
    )


def replay(observer: Observer, number: int, trace: Trace) -> None:
    """Tell an observer of a trial that was trained elsewhere what it would have seen here, in the same order."""
    start = 0
    for count, evaluation in enumerate(trace.evaluations, 1):
        if evaluation.step > start:
            observer.recorded(number, _until(trace, evaluation.step, count), start)
            start = evaluation.step
        observer.evaluated(number, evaluation)
    if trace.steps > start:
        observer.recorded(number, trace, start)
    observer.ended(number, trace)


def _until(trace: Trace, step: int, evaluations: int) -> Trace:
    """A trace as it stood after so many updates."""
    return replace(
        trace,
        train_loss=trace.train_loss[:step],
        lr=trace.lr[:step],
        seconds=trace.seconds[:step],
        recorded={name: column[:step] for name, column in trace.recorded.items()},
        evaluations=trace.evaluations[:evaluations],
    )
