"""The trials of a command that trains them in several calls: numbered on, recorded and watched."""

from __future__ import annotations

from collections.abc import Sequence

from lrtool.engine.trials import Recipe, Trace, Trial
from lrtool.experiments.engines import Engines
from lrtool.experiments.observers import ObserverFactory, Observers, Offset
from lrtool.experiments.recording import MetricsRecorder
from lrtool.experiments.setup import Setup
from lrtool.runs.metrics import MetricsWriter
from lrtool.tasks.base import Task


class TrialRunner:
    """Trains trials, call after call, into one `metrics.csv`; counts `trials`, their `steps` and `validations`."""

    def __init__(self, setup: Setup, writer: MetricsWriter, watch: ObserverFactory, engines: Engines) -> None:
        self._recorder = MetricsRecorder(writer, setup.task.batches_per_epoch, setup.recipe.accumulate)
        self._watch, self._engines = watch, engines
        self.trials, self.steps, self.validations = 0, 0, 0

    def run(self, trials: Sequence[Trial], task: Task, recipe: Recipe) -> list[Trace]:
        """Train every trial; traces in the order of the trials."""
        watched = self._watch(len(trials), max(trial.steps for trial in trials))
        observer = Observers(Offset(self._recorder, self.trials), watched)
        traces = self._engines.run(task, trials, recipe, observer)
        self.trials += len(trials)
        self.steps += sum(trace.steps for trace in traces)
        self.validations += sum(len(trace.evaluations) for trace in traces)
        return traces
