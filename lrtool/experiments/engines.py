"""The choice of an engine for the trials of a command, and the calls of it."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from lrtool.engine import clock
from lrtool.engine.choice import Choice, Chooser, Costs, choose_engine
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.calibration import Seconds
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.observer import Observer
from lrtool.engine.parallel.joining import current
from lrtool.engine.trials import Engine, EngineName, Recipe, Trace, Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.obstacles import NotStackableError
from lrtool.engine.vector.plan import FEW, Plan
from lrtool.experiments.observers import Offset, Renumbered
from lrtool.experiments.parallel.conducting import conducted, speed_together
from lrtool.experiments.resuming.search_memory import SearchMemory
from lrtool.experiments.setup import Setup
from lrtool.status import Status
from lrtool.tasks.base import Task

_LOG = logging.getLogger("lrtool")

#: Trials beyond which the number makes no difference to the choice.
_COMPANY = 64
#: Seconds expected from which a first part shows the speed; those expected of a part that shows it, or that it took.
_LONG, _HEARD, _FELT = 4.0, 0.5, 3.0
#: Seconds that a first part should take.
_SHOWS = 1.0
#: What takes so many times longer, or less long, than was thought is thought about again.
_OFF = 1.3
#: The part of the updates that must have been done for a comparison: trials that diverge leave their stack early.
_MOST = 0.6

#: Why trials of a model that is spread over processes are not stacked.
_SPREAD = "each process has a part of the model (--fsdp)"


class Engines:
    """Trains trials by the engine that is asked for, or the faster one, and remembers why.

    Trials that are alike (validated or not, about as much to do) are chosen for once. Raises NotStackableError
    where the vector engine is asked for and the model cannot be stacked. `forks`: whether trials may train in other
    processes; a user's own objects may hold what those cannot share.
    """

    def __init__(self, wanted: EngineName = EngineName.AUTO, forks: bool = True) -> None:
        self.wanted, self._forks = wanted, forks
        self._choosers: dict[tuple[bool, int], Chooser] = {}
        self._choices: dict[tuple[bool, int, int, bool], Choice] = {}
        self._proven: set[EngineName] = set()
        self._plan: tuple[float, bool] | None = None
        self._together: dict[tuple[bool, int], bool] = {}
        self._memory = SearchMemory()
        self._trained: Counter[tuple[EngineName, str]] = Counter()

    @property
    def here(self) -> bool:
        """Whether trials train on this machine."""
        return True

    def asked_for(self, asked: Mapping[str, Any]) -> Self:
        """The same with the engine that a search was asked for with, which goes on."""
        self.wanted = EngineName(asked.get("engine", EngineName.AUTO))
        return self

    def of(self, setup: Setup) -> Engines:
        """The same for trials of a setup: those that train elsewhere build it there."""
        return self

    def run(
        self,
        task: Task,
        trials: Sequence[Trial],
        recipe: Recipe,
        observer: Observer | None = None,
        memory: SearchMemory | None = None,
        first: int = 0,
    ) -> list[Trace]:
        """Train every trial; traces in the order of the trials.

        The first trials of a long call show whether their engine is as fast as was thought; where it is not, the rest
        goes to the other one if that is then faster. What `memory` knows, of trials numbered from `first` on, is
        neither decided nor trained again.
        """
        self._memory = memory or SearchMemory()
        traces: list[Trace] = []
        while len(traces) < len(trials):
            rest = trials[len(traces) :]
            choice, size = self._next_part(task, rest, recipe)
            part = rest[:size]
            self._trained[choice.name, choice.reason] += sum(trial.steps for trial in part)
            known = [self._memory.known(first + len(traces) + number, trial) for number, trial in enumerate(part)]
            watching = observer if observer is None or not traces else Offset(observer, len(traces))
            began, self._plan = clock.worked(), None
            done = self._trained_rest(choice, task, part, known, recipe, watching)
            if len(trials) > 1 and not any(known) and _tells(choice):
                chooser = self.chooser(task, part[0], recipe)
                self._heard(choice.name, chooser, Amount.of(task, part, recipe), done, began)
            traces += done
        return traces

    def _next_part(self, task: Task, rest: Sequence[Trial], recipe: Recipe) -> tuple[Choice, int]:
        """Who trains the next trials, and how many of them; as it was decided before, where it was."""
        before = self._memory.recall("engine")
        if before is not None:
            return _as_before(before, self._planned), int(before["trials"])
        choice = self.choose(task, rest, recipe)
        size = self._part(choice, len(rest))
        workers = getattr(choice.engine, "workers", None)
        self._memory.remember(
            "engine", {"name": choice.name, "reason": choice.reason, "trials": size, "workers": workers}
        )
        return choice, size

    def _trained_rest(
        self,
        choice: Choice,
        task: Task,
        part: Sequence[Trial],
        known: Sequence[Trace | None],
        recipe: Recipe,
        observer: Observer | None,
    ) -> list[Trace]:
        """The traces of all trials of a part; those that are not known are trained."""
        missing = [number for number, trace in enumerate(known) if trace is None]
        engine = self._with_others(choice, task, part, recipe)
        if isinstance(engine, VectorEngine):
            compiled = self._memory.recall("compiled")
            engine = replace(engine, compile=compiled) if compiled is not None else engine
        if not missing:
            return [trace for trace in known if trace is not None]
        if len(missing) == len(part):
            return engine.run(task, part, recipe, observer)
        # A stack of one is computed by other kernels than a larger one, and rounds otherwise.
        company = [number for number in range(len(part)) if number not in missing][: 1 if len(missing) == 1 else 0]
        company = company if choice.name is EngineName.VECTOR else []
        watching = Renumbered(observer, missing) if observer is not None else None
        done = engine.run(task, [part[number] for number in (*missing, *company)], recipe, watching)
        trained = dict(zip(missing, done, strict=False))
        return [trained[number] if trace is None else trace for number, trace in enumerate(known)]

    def choose(self, task: Task, trials: Sequence[Trial], recipe: Recipe) -> Choice:
        """The engine for these trials."""
        # Compiling pays only where there is much to do; where there is little, hardly anything matters.
        amount = math.ceil(math.log2(max(1.0, sum(trial.steps for trial in trials) / FEW)))
        company = math.ceil(math.log2(min(len(trials), _COMPANY))) if amount else 0
        key = (len(trials) > 1, amount, company, task.val is not None)
        if key not in self._choices:
            self._choices[key] = choice = self._chosen(task, trials, recipe)
            _LOG.info("engine %s", choice.text)
        return self._choices[key]

    def chooser(self, task: Task, trial: Trial, recipe: Recipe) -> Chooser:
        """What is known of the speed of such trials; what is known with validation serves without it too."""
        validated, spread = self._choosers.get((True, id(task.new_model))), _SPREAD * current().sharded
        if task.val is None and validated is not None and (spread or not validated.is_obstructed):
            return validated
        key = (task.val is not None, id(task.new_model))
        if key not in self._choosers:
            on_gpus = not current().alone and recipe.device.type != "cpu"
            measured = partial(speed_together, task, trial, recipe) if on_gpus else None
            self._choosers[key] = Chooser(task, trial, recipe, self._planned, self._forks, measured, spread)
        return self._choosers[key]

    def expected(self, task: Task, trial: Trial, recipe: Recipe, amount: Amount) -> Choice:
        """Who would train so much, and in which time; nothing is asked for that was not measured or tried."""
        return self._decided(self.chooser(task, trial, recipe), amount)

    def _with_others(self, choice: Choice, task: Task, trials: Sequence[Trial], recipe: Recipe) -> Engine:
        """The engine itself, or several processes training each trial together, where that is faster.

        Small models are trained sooner by one process than it takes several to agree on their gradients. On GPUs it is
        always together: a whole batch may not fit one of them. So it is where each process has a part of the model.
        """
        if current().sharded:
            return conducted(LoopEngine())
        if current().alone or not isinstance(choice.engine, LoopEngine):
            return choice.engine
        if recipe.device.type != "cpu":
            return conducted(choice.engine)
        key = (task.val is not None, id(task.new_model))
        if key not in self._together:
            shared = speed_together(task, trials[0], recipe)
            alone = self.chooser(task, trials[0], recipe).speed
            self._together[key] = shared.update < alone.update
            who = "all processes together" if self._together[key] else "the first process alone"
            _LOG.info("trained by %s: %.3g s an update, or %.3g s alone", who, shared.update, alone.update)
        return conducted(choice.engine) if self._together[key] else choice.engine

    def _part(self, choice: Choice, trials: int) -> int:
        """How many trials to begin with: all, or as many as show how fast it is where that is not known and matters."""
        known = choice.name in self._proven or self.wanted is not EngineName.AUTO or not _tells(choice)
        seconds = choice.costs.seconds.likely
        if known or seconds < _LONG:
            return trials
        at_once = max(2, choice.costs.company)
        return min(trials, at_once * math.ceil(_SHOWS * trials / (seconds * at_once)))

    def _planned(self, plan: Plan) -> None:
        _LOG.info("stack: %s", plan.reason)
        self._plan = (clock.worked(), plan.compiled is not None)
        self._memory.remember("compiled", plan.compiled is not None)

    def _heard(self, name: EngineName, chooser: Chooser, amount: Amount, done: list[Trace], began: float) -> None:
        """Compare what was measured with what was thought; where they differ much, it is chosen anew."""
        planned, compiled = self._plan or (began, False)
        took = clock.since(planned)
        updates = sum(trace.steps for trace in done) / len(done)
        finished = sum(trace.status is Status.FINISHED for trace in done) / len(done)
        if len(done) < 2 or updates < _MOST * amount.updates:
            return
        trained = Amount(len(done), updates, amount.validations * finished)
        expected = chooser.expected(name, trained, compiled)
        # On a crowded machine more time may be left out than passed; that says nothing of the engine.
        if took <= 0 or (expected < _HEARD and took < _FELT):
            return
        self._proven.add(name)
        if not 1 / _OFF < took / expected < _OFF:
            _LOG.info("%s took %.1f s where %.1f s were expected", name, took, expected)
            chooser.heard(name, expected, took)
            self._choices.clear()

    def summary(self) -> dict[str, Any]:
        """For `summary.json`: the engine that trained most updates in all, and why."""
        updates: Counter[EngineName] = Counter()
        for (name, _), trained in self._trained.items():
            updates[name] += trained
        if not updates:
            return {"name": EngineName.LOOP, "reason": "nothing was trained"}
        ((most, trained),) = updates.most_common(1)
        reasons = Counter({reason: n for (name, reason), n in self._trained.items() if name is most})
        ((reason, _),) = reasons.most_common(1)
        return {"name": most, "reason": reason, "share": round(trained / updates.total(), 3)}

    def _chosen(self, task: Task, trials: Sequence[Trial], recipe: Recipe) -> Choice:
        if self.wanted is EngineName.AUTO:
            return choose_engine(task, trials, recipe, self._planned, self.chooser(task, trials[0], recipe))
        return self._decided(self.chooser(task, trials[0], recipe), Amount.of(task, trials, recipe))

    def _decided(self, chooser: Chooser, amount: Amount) -> Choice:
        match self.wanted:
            case EngineName.LOOP:
                return chooser.looped(amount, "asked for")
            case EngineName.AUTO:
                return chooser.choose(amount)
            case EngineName.VECTOR:
                if chooser.obstacle is not None:
                    raise NotStackableError(chooser.obstacle)
                return chooser.stacked(amount)._replace(reason="asked for")


def _tells(choice: Choice) -> bool:
    """Whether the time that it takes says how fast its engine is; what several processes take, says nothing of one."""
    return current().alone or choice.name is EngineName.VECTOR


def _as_before(known: Mapping[str, Any], planned: Callable[[Plan], None]) -> Choice:
    """An engine that was chosen before; what it costs plays no part any more."""
    name, costs = EngineName(known["name"]), Costs(Seconds(0.0, 0.0, 0.0), 0.0, 1)
    if name is EngineName.VECTOR:
        return Choice(name, VectorEngine(planned=planned), known["reason"], costs)
    return Choice(name, LoopEngine(workers=known["workers"] or 1), known["reason"], costs)
