"""The trials of a command that trains them in several calls: numbered on, recorded and watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from lrtool.engine.observer import Observer
from lrtool.engine.trials import Recipe, Trace, Trial
from lrtool.experiments.engines import Engines
from lrtool.experiments.observers import ObserverFactory, Observers, Offset
from lrtool.experiments.recording import MetricsRecorder
from lrtool.experiments.resuming.search_memory import SearchMemory, TraceKeeper
from lrtool.experiments.setup import Setup
from lrtool.runs.metrics import MetricsWriter
from lrtool.tasks.base import Task


class TrialRunner:
    """Trains trials, call after call, into one `metrics.csv`; counts `trials`, their `steps` and `validations`.

    `loggers` hear of every call, as the metrics do. What `memory` knows is not trained again.
    Used as a context manager, it closes all observers at its end.
    """

    def __init__(
        self,
        setup: Setup,
        writer: MetricsWriter,
        watch: ObserverFactory,
        engines: Engines,
        loggers: Sequence[Observer] = (),
        memory: SearchMemory | None = None,
    ) -> None:
        pace = setup.task.batches_per_epoch, setup.recipe.accumulate
        recorder = MetricsRecorder(writer, *pace)
        self.memory = memory or SearchMemory()
        # What is remembered has its rows.
        self._throughout, self._watched = (recorder, TraceKeeper(self.memory, pace), *loggers), list[Observer]()
        self._watch, self._engines = watch, engines
        self.trials, self.steps, self.validations = 0, 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        Observers(*self._throughout, *self._watched).close()

    def run(self, trials: Sequence[Trial], task: Task, recipe: Recipe) -> list[Trace]:
        """Train every trial; traces in the order of the trials."""
        self._watched.append(self._watch(len(trials), max(trial.steps for trial in trials)))
        observer = Observers(Offset(Observers(*self._throughout), self.trials), self._watched[-1])
        traces = self._engines.run(task, trials, recipe, observer, self.memory, self.trials)
        self.trials += len(trials)
        self.steps += sum(trace.steps for trace in traces)
        self.validations += sum(len(trace.evaluations) for trace in traces)
        return traces
