"""Which engine trains a command's trials, and why."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from lrtool.engine.choose import Choice, choose_engine, looped
from lrtool.engine.planning import FEW
from lrtool.engine.probing import probe
from lrtool.engine.stacking import NotStackableError
from lrtool.engine.trials import Observer, Recipe, Trace, Trial
from lrtool.engine.vector import VectorEngine
from lrtool.errors import UsageError
from lrtool.tasks.base import Task

_LOG = logging.getLogger("lrtool")


class EngineName(StrEnum):
    """What a user may ask for."""

    AUTO = "auto"
    LOOP = "loop"
    VECTOR = "vector"

    @classmethod
    def parse(cls, name: str) -> EngineName:
        """The engine of this name; UsageError where there is none."""
        try:
            return cls(name)
        except ValueError:
            raise UsageError(
                f"there is no engine {name!r}", where="--engine", remedy="write auto, loop or vector"
            ) from None


class Engines:
    """Trains trials by the engine that is asked for, or the faster one, and remembers why.

    Trials that are alike (validated or not, about as much to do) are chosen for once. Raises NotStackableError
    where the vector engine is asked for and the model cannot be stacked.
    """

    def __init__(self, wanted: EngineName = EngineName.AUTO) -> None:
        self.wanted = wanted
        self._choices: dict[tuple[bool, int, bool], Choice] = {}
        self._trained: Counter[str] = Counter()

    def run(self, task: Task, trials: Sequence[Trial], recipe: Recipe, observer: Observer | None = None) -> list[Trace]:
        """Train every trial; traces in the order of the trials."""
        choice = self.choose(task, trials, recipe)
        self._trained[choice.reason] += sum(trial.steps for trial in trials)
        return choice.engine.run(task, trials, recipe, observer)

    def choose(self, task: Task, trials: Sequence[Trial], recipe: Recipe) -> Choice:
        """The engine for these trials."""
        # Compiling pays only where there is much to do, so four times as much is another matter.
        amount = math.ceil(math.log(max(1.0, sum(trial.steps for trial in trials) / FEW), 4))
        key = (len(trials) > 1, amount, task.val is not None)
        if key not in self._choices:
            self._choices[key] = choice = self._chosen(task, trials, recipe)
            _LOG.info("engine %s", choice.reason)
        return self._choices[key]

    def summary(self) -> dict[str, Any]:
        """For `summary.json`: the engine that trained most updates in all, and why."""
        updates: Counter[str] = Counter()
        for said, trained in self._trained.items():
            updates[said.partition(": ")[0]] += trained
        if not updates:
            return {"name": "loop", "reason": "nothing was trained"}
        ((name, most),) = updates.most_common(1)
        reasons = Counter({said: n for said, n in self._trained.items() if said.startswith(f"{name}: ")})
        ((said, _),) = reasons.most_common(1)
        part = most / updates.total()
        return {"name": name, "reason": said.partition(": ")[2], "share": round(part, 3)}

    def _chosen(self, task: Task, trials: Sequence[Trial], recipe: Recipe) -> Choice:
        match self.wanted:
            case EngineName.LOOP:
                # Of the same budget come the same trials, whatever the number of cores.
                return looped(task.to(recipe.device), trials, recipe, "asked for")._replace(speedup=1.0)
            case EngineName.AUTO:
                return choose_engine(task, trials, recipe, _log)
            case EngineName.VECTOR:
                reason = probe(task.to(recipe.device), recipe, trials[0].seed)
                if reason is not None:
                    raise NotStackableError(reason)
                choice = choose_engine(task, trials, recipe, _log)
                return Choice(VectorEngine(said=_log), "vector: asked for", max(1.0, choice.speedup))


def _log(plan: str) -> None:
    _LOG.info("stack: %s", plan)
