"""A job of a sweep: some trials of one group, trained wherever an executor puts them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lrtool.config.schema import Config
from lrtool.config.sweep.load import NO_RECOVERY
from lrtool.config.sweep.planner import PlannedTrial
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.observer import Observer
from lrtool.engine.trials import EngineName, Recipe, Trace, Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.errors import LrtoolError, OutputError, UsageError
from lrtool.experiments.setup import Setup, prepare
from lrtool.experiments.spread.travel import elsewhere, moved_folder
from lrtool.experiments.sweep.grouping import Group
from lrtool.experiments.sweep.outcome import failed, stored
from lrtool.runs.sweep.store import Progress, StoredTrial
from lrtool.status import Status

#: Seconds between two reports of updates done.
_EVERY = 0.2
#: Bytes of one update in a trace, everything recorded, and what the traces of one job may take.
_PER_UPDATE, _TRACES = 8 * 6, 256 * 2**20


@dataclass(frozen=True)
class Advance:
    """A job's report that so many more updates are done."""

    steps: int


@dataclass(frozen=True)
class HowTrained:
    """A job's report how the vector engine trains the group `key`."""

    key: str
    text: str


Report = Callable[[StoredTrial | Advance | HowTrained], None]


@dataclass(frozen=True)
class Part:
    """A part of a run: its first `fraction`, under the schedule of the whole.

    `reached`: how far a trial is that has got through it.
    """

    fraction: float
    reached: Progress


WHOLE = Part(1.0, Progress(Status.FINISHED))


def rung(number: int, fraction: float) -> Part:
    """The part of a run after which variants are compared for the n-th time."""
    return Part(fraction, Progress(Status.WAITING, number))


@dataclass(frozen=True)
class Job:
    """Trials of one group to train together. `config` stands for their group; `engine` is loop or vector.

    `compiled`: whether the vector engine compiles (None: it decides). `company` is trained with them but not reported:
    a stack of one is computed by other kernels than a larger one, and rounds otherwise. `part` of each run is trained.
    """

    key: str
    config: Config
    trials: tuple[PlannedTrial, ...]
    engine: EngineName
    compiled: bool | None
    allow_import: frozenset[str]
    company: tuple[PlannedTrial, ...] = ()
    part: Part = WHOLE

    def moved(self, places: Mapping[str, str]) -> Job:
        """The same job where the user's files are at other places, as on a machine to which they travelled."""

        def there(trials: tuple[PlannedTrial, ...]) -> tuple[PlannedTrial, ...]:
            return tuple(replace(trial, config=elsewhere(trial.config, places)) for trial in trials)

        return replace(
            self,
            config=elsewhere(self.config, places),
            trials=there(self.trials),
            company=there(self.company),
            allow_import=frozenset(moved_folder(entry, places) for entry in self.allow_import),
        )


def left(job: Job, reports: Sequence[object]) -> Job | None:
    """What of a job is not done, given what it has reported: the trials that it said nothing of."""
    ended = {report.number: report.status for report in reports if isinstance(report, StoredTrial)}
    trials = tuple(trial for trial in job.trials if trial.number not in ended)
    if len(trials) == len(job.trials):
        return job
    # A stack that is left with one trial needs the company of another, as it had.
    alone = len(trials) == 1 and job.engine is EngineName.VECTOR and not job.company
    able = tuple(trial for trial in job.trials if ended.get(trial.number, Status.FAILED) is not Status.FAILED)
    return replace(job, trials=trials, company=able[:1] if alone else job.company) if trials else None


class _Setups:
    """The setup that was built last: jobs of one group come after each other."""

    def __init__(self) -> None:
        self._key: tuple[str, frozenset[str]] | None = None
        self._setup: Setup | None = None

    def get(self, key: str, config: Config, allow_import: frozenset[str]) -> Setup:
        if self._setup is None or self._key != (key, allow_import):
            self._setup = None  # two data sets need not fit into memory
            self._setup, self._key = prepare(config, allow_import), (key, allow_import)
        return self._setup


_SETUPS = _Setups()


def setup_of(group: Group, allow_import: frozenset[str]) -> Setup:
    """The built setup of a group; the one built last is kept."""
    return _SETUPS.get(group.key, group.config, allow_import)


def recipe_of(setup: Setup) -> Recipe:
    """How every trial of a group is trained."""
    if setup.config.train.on_divergence != "stop":
        raise UsageError(NO_RECOVERY[0], where="train.on_divergence", remedy=NO_RECOVERY[1])
    every = setup.config.train.eval_every
    updates = setup.updates(every, "train.eval_every") if every.amount else 0
    return replace(setup.recipe, eval_every=updates, plateau=setup.config.plateau)


def trial_of(setup: Setup, planned: PlannedTrial, part: Part = WHOLE) -> Trial:
    """What an engine takes; raises UsageError where the schedule does not fit the run."""
    own = replace(setup, config=planned.config)
    trial = own.trial(planned.config.seed, planned.config.optimizer.lr, planned.variant)
    return replace(trial, steps=max(1, round(trial.steps * part.fraction)))


def most_trials(steps: int) -> int:
    """How many trials one job may have, so that their traces fit into memory."""
    return max(2, _TRACES // (_PER_UPDATE * steps))


def trace_bytes(trials: int, steps: int) -> int:
    """What the traces take that are in memory at a time."""
    return min(trials, most_trials(steps)) * steps * _PER_UPDATE


def train(job: Job, report: Report) -> None:
    """Train the trials of a job and report each when it ends; one that fails is reported as failed.

    Only what no other trial could do better is raised: output that cannot be written, an interrupt, a bug.
    """
    try:
        setup = _SETUPS.get(job.key, job.config, job.allow_import)
        recipe = recipe_of(setup)
    except LrtoolError as error:
        for planned in job.trials:
            report(failed(planned, str(error)))
        return
    ready = []
    for planned in job.trials:
        try:
            ready.append((planned, trial_of(setup, planned, job.part)))
        except LrtoolError as error:
            report(failed(planned, str(error)))
    if job.engine is EngineName.VECTOR:
        ready = _side_by_side(job, setup, recipe, ready, report)
    for planned, trial in ready:
        _alone(job, setup, recipe, planned, trial, report)


Ready = list[tuple[PlannedTrial, Trial]]


def _side_by_side(job: Job, setup: Setup, recipe: Recipe, ready: Ready, report: Report) -> Ready:
    """Train a stack; gives the trials that did not end because one of them broke it."""
    if not ready:
        return []
    company = [trial_of(setup, planned, job.part) for planned in job.company]
    observer = _Reporter([planned for planned, _ in ready], report, job.part)
    engine = VectorEngine(compile=job.compiled, planned=lambda plan: report(HowTrained(job.key, plan.reason)))
    try:
        engine.run(setup.task, [*(trial for _, trial in ready), *company], recipe, observer)
    except OutputError:
        raise
    except LrtoolError:
        return [pair for number, pair in enumerate(ready) if number not in observer.ended_trials]
    finally:
        observer.close()
    return []


def _alone(job: Job, setup: Setup, recipe: Recipe, planned: PlannedTrial, trial: Trial, report: Report) -> None:
    observer = _Reporter([planned], report, job.part, failures=True)
    try:
        LoopEngine().run(setup.task, [trial], recipe, observer)
    except OutputError:
        raise
    except LrtoolError as error:
        if not observer.ended_trials:
            report(failed(planned, str(error)))
    finally:
        observer.close()


class _Reporter(Observer):
    """An engine's observer: reports trials that ended, and now and then the updates that were done.

    With `failures` a trial that failed has ended too; without, it is to be tried again by itself.
    """

    def __init__(self, planned: Sequence[PlannedTrial], report: Report, part: Part, failures: bool = False) -> None:
        self._planned, self._report, self._part, self._failures = planned, report, part, failures
        self._steps, self._due = 0, time.monotonic() + _EVERY
        self.ended_trials: set[int] = set()

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """Count updates."""
        if trial < len(self._planned):
            self._steps += trace.steps - start
            if time.monotonic() >= self._due:
                self.settle()

    def ended(self, trial: int, trace: Trace) -> None:
        """Report a trial, unless it was stopped from outside."""
        over = trace.status.is_measured or (self._failures and trace.status is Status.FAILED)
        if over and trial < len(self._planned):
            self.ended_trials.add(trial)
            kept = stored(self._planned[trial], trace)
            finished = trace.status is Status.FINISHED
            self._report(replace(kept, **self._part.reached._asdict()) if finished else kept)

    def settle(self) -> None:
        """Report the updates not reported yet."""
        if self._steps:
            self._report(Advance(self._steps))
        self._steps, self._due = 0, time.monotonic() + _EVERY

    def close(self) -> None:
        """Report what is left; the job is over."""
        self.settle()
