"""A job of a search: some trials that one call of an engine would train, trained on another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lrtool import errors
from lrtool.config.schema import Config
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.observer import Observer
from lrtool.engine.trials import EngineName, Recipe, Trace, Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.errors import LrtoolError
from lrtool.experiments.setup import Setup, prepare
from lrtool.experiments.spread.travel import elsewhere, moved_folder
from lrtool.schedules import Curve

#: What of a recipe every machine has of its own.
_OWN = frozenset({"optimizer", "device"})


@dataclass(frozen=True)
class TrialsJob:
    """Numbered trials of a config's task. `changes`: what their recipe has other than the config's.

    `validated`: whether they are; `company` is trained with them, as a stack of one is computed otherwise.
    """

    config: Config
    allow_import: frozenset[str]
    trials: tuple[tuple[int, Trial], ...]
    engine: EngineName
    changes: Mapping[str, Any]
    validated: bool
    company: tuple[Trial, ...] = ()

    def moved(self, places: Mapping[str, str]) -> TrialsJob:
        """The same job where the user's files are at other places."""
        allowed = frozenset(moved_folder(entry, places) for entry in self.allow_import)
        return replace(self, config=elsewhere(self.config, places), allow_import=allowed)


@dataclass(frozen=True)
class Tabled:
    """The values of a curve at whole steps, which can be sent; a formula may hold functions, which cannot."""

    values: NDArray[np.float64]

    def __call__(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values at these steps."""
        return np.asarray(self.values[t.astype(np.int64)])


def sendable(trial: Trial) -> Trial:
    """The same trial with its curves as tables."""
    return replace(trial, curves={name: _as_table(curve) for name, curve in trial.curves.items()})


def _as_table(curve: Curve) -> Curve:
    return Curve(Tabled(curve(np.arange(curve.steps + 1))), curve.steps, curve.peak)


@dataclass(frozen=True)
class Ended:
    """A job's report that a trial is over."""

    number: int
    trace: Trace


@dataclass(frozen=True)
class Failure:
    """A job's report that an error of lrtool's ended it."""

    kind: str
    what: str
    where: str | None
    remedy: str | None

    @classmethod
    def of(cls, error: LrtoolError) -> Failure:
        """What is sent of an error."""
        return cls(type(error).__name__, error.what, error.where, error.remedy)

    def raised(self) -> NoReturn:
        """Raise it here."""
        kind = getattr(errors, self.kind, errors.TaskError)
        # What was built from other fields is as clear as its base.
        cls = kind if kind in (errors.UsageError, errors.OutputError) else errors.TaskError
        raise cls(self.what, where=self.where, remedy=self.remedy)


def changes_of(recipe: Recipe) -> dict[str, Any]:
    """What a recipe says of how trials are trained, but for what every machine has of its own."""
    return {each.name: getattr(recipe, each.name) for each in fields(recipe) if each.name not in _OWN}


def left(job: TrialsJob, reports: Sequence[object]) -> TrialsJob | None:
    """What of a job is not done, given what it has reported."""
    ended = {report.number for report in reports if isinstance(report, Ended)}
    trials = tuple(pair for pair in job.trials if pair[0] not in ended)
    if len(trials) == len(job.trials):
        return job
    alone = len(trials) == 1 and job.engine is EngineName.VECTOR
    company = tuple(trial for number, trial in job.trials if number in ended)[:1] if alone else job.company
    return replace(job, trials=trials, company=company) if trials else None


#: The setup that was built last: jobs of one search come after each other.
_BUILT: dict[str, Setup] = {}


def train(job: TrialsJob, report: Callable[[Ended | Failure], None]) -> None:
    """Train the trials of a job, and report each when it ends; an error of lrtool's is reported, and ends it."""
    try:
        setup = _built(job)
        recipe = replace(setup.recipe, **job.changes)
        task = setup.task if job.validated else replace(setup.task, val=None)
        engine = VectorEngine() if job.engine is EngineName.VECTOR else LoopEngine()
        engine.run(task, [*(trial for _, trial in job.trials), *job.company], recipe, _Reporter(job, report))
    except LrtoolError as error:
        report(Failure.of(error))


def _built(job: TrialsJob) -> Setup:
    key = f"{job.config.to_yaml()} {job.config.folder} {sorted(job.allow_import)}"
    if key not in _BUILT:
        _BUILT.clear()
        _BUILT[key] = prepare(job.config, job.allow_import)
    return _BUILT[key]


class _Reporter(Observer):
    """An engine's observer that reports trials that have ended; their company is not asked for."""

    def __init__(self, job: TrialsJob, report: Callable[[Ended | Failure], None]) -> None:
        self._numbers, self._report = [number for number, _ in job.trials], report

    def ended(self, trial: int, trace: Trace) -> None:
        """Report a trial that is measured; one that failed is the error that follows."""
        if trial < len(self._numbers) and trace.status.is_measured:
            self._report(Ended(self._numbers[trial], trace))
