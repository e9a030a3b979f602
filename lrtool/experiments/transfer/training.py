"""`transfer` with training: short and small runs, a law through their best LRs, and the LR of the target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrtool.analysis.search.transfer.design import LRS, Cost, Design, Values, least_cost, plan
from lrtool.analysis.search.transfer.enough import enough
from lrtool.analysis.search.transfer.extrapolate import Transferred, extrapolate
from lrtool.analysis.search.transfer.search import Ahead, TransferSearch
from lrtool.analysis.search.transfer.usual import DURATION, usual
from lrtool.engine.cost.amount import Amount
from lrtool.errors import UsageError
from lrtool.experiments.budget import DEFAULT_RUNS, Budget, Usual
from lrtool.experiments.engines import Engines
from lrtool.experiments.final import final_loss
from lrtool.experiments.observers import ObserverFactory
from lrtool.experiments.prior.start import bound_exponent
from lrtool.experiments.resuming.search_memory import SearchMemory
from lrtool.experiments.resuming.searches import Begun, begin, told_how_to_go_on
from lrtool.experiments.runner import TrialRunner
from lrtool.experiments.session import Session, session
from lrtool.experiments.setup import Setup
from lrtool.experiments.transfer import keys
from lrtool.experiments.transfer.points_file import points_csv
from lrtool.experiments.transfer.request import TransferRequest
from lrtool.experiments.transfer.summary import summarise
from lrtool.loggers import Logger, wanted
from lrtool.report import pictures
from lrtool.report.plots.style import number
from lrtool.report.terminal.progress import ProgressObservers
from lrtool.report.transfer.plot import TransferPlot, draw_transfer
from lrtool.report.transfer.words import short
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import MetricsWriter
from lrtool.status import Status

#: Cost at most where the user says nothing: a quarter of the target run, or about 20 seconds if that is more.
TRANSFER = Usual(0.25, 20.0)


def run_transfer(
    asked: TransferRequest,
    output: Path,
    watch: ProgressObservers,
    budget: float | None = None,
    engines: Engines | None = None,
    loggers: Sequence[Logger] | None = None,
) -> tuple[Session, Transferred]:
    """Train smaller runs, fit a law through their best LRs and extrapolate it, into a new run folder.

    `budget`: cost at most, in the time that one run of the target takes; unsaid, a quarter of it, or about 20
    seconds if that is more. Raises UsageError
    where it holds no comparison of LRs.
    """
    loggers = wanted(asked.whole.config.logging) if loggers is None else loggers
    engines = engines or Engines()
    folder = RunFolder.create(output, asked.whole.config.name, "transfer")
    with folder.held():
        to = [f"{key}={value}" for key, value in asked.target.items()]
        said = {"to": to, "budget": budget, "engine": engines.wanted}
        search = Begun(begin(folder, asked.whole, said), said, ())
        return carried_out(asked, folder, watch, search, engines, loggers)


def carried_out(
    asked: TransferRequest,
    folder: RunFolder,
    watch: ProgressObservers,
    search: Begun,
    engines: Engines,
    loggers: Sequence[Logger],
) -> tuple[Session, Transferred]:
    """A transfer in its folder, which is held; what its memory knows is not trained again."""
    whole, columns = asked.whole, ("val_loss", *(f"val_{name}" for name in asked.whole.task.metrics))
    with (
        closing(search.memory),
        session(folder, "transfer", whole.config, str(whole.recipe.device), loggers) as run,
        told_how_to_go_on("transfer", folder),
        folder.metrics(columns, search.rows(whole)) as writer,
    ):
        return run, transferred(asked, run, writer, watch, search.asked.get("budget"), engines, search.memory)


def transferred(
    asked: TransferRequest,
    run: Session,
    writer: MetricsWriter,
    watch: ObserverFactory,
    budget: float | None,
    engines: Engines,
    memory: SearchMemory,
) -> Transferred:
    """A transfer inside a command that has begun: its results, plot and points go into that one's run folder."""
    trainer = _Trainer(asked, writer, watch, engines, run)
    trainer.memory = memory
    found = trainer.transfer(budget)
    run.steps = trainer.steps
    run.results = {**summarise(found), "cost": trainer.cost(), "engine": engines.summary()}
    run.results["details"] += [trainer.said()]
    run.reason = found.reason
    if found.diverged:
        run.status = Status.DIVERGED
    run.folder.write_text("points.csv", points_csv(found.points))
    plot = TransferPlot.of(found, asked.whole.config.name)
    pictures.picture(run.folder, "transfer", lambda: draw_transfer(plot))
    return found


class _Trainer:
    """The state of one transfer: its budget, its setups, and the trials so far."""

    def __init__(
        self, asked: TransferRequest, writer: MetricsWriter, watch: ObserverFactory, engines: Engines, run: Session
    ) -> None:
        self.asked, self._writer, self._watch, self._engines, self._run = asked, writer, watch, engines, run
        self._expected = usual((DURATION, *asked.target), asked.adaptive, bound_exponent(asked.whole))
        self._setups: dict[Values, Setup] = {}
        self._weights: dict[Values, float] = {}
        self.memory = SearchMemory()
        self.steps = self.trials = self.validations = 0
        self.work = 0.0

    def transfer(self, runs: float | None) -> Transferred:
        """Plan, train, fit."""
        asked, whole = self.asked, self.asked.whole
        levels = keys.levels(asked.target, whole, asked.configs)
        self._build(levels)
        self._runner = self._new_runner(whole)
        self.budget = Budget(whole, self._runner, self._engines, runs, TRANSFER)
        self._takes = self.budget.scaled(lambda limit: self._calls(self._plan(levels, limit)))
        design = self._plan(levels, self.budget.limit)
        if design is None:
            raise self._too_small(levels)
        self.design = design
        bar = self._watch if isinstance(self._watch, ProgressObservers) else None
        if bar is not None:
            bar.note(self.announcement())
            bar.expect(self._updates(design))
        search = TransferSearch(design, whole.config.optimizer.lr, self._expected)
        seeds = [whole.config.seed + number for number in range(design.seeds)]
        for cell, lrs, count in search.requests(self._affords):
            self._train(search, cell, lrs, seeds[:count])
        if bar is not None:
            bar.finished()
        found = extrapolate(search.points(), asked.goal, self._expected, self._passes(design))
        return replace(found, enough=self._enough(found, levels)) if found.lr is None else found

    def _enough(self, found: Transferred, levels: Mapping[str, Sequence[float]]) -> float | None:
        """The budget with which an answer is expected: not above what `tune` needs for the target itself."""
        return enough(found, lambda runs: self._plan(levels, runs), self._passes, self.budget.limit, DEFAULT_RUNS)

    def _affords(self, ahead: Ahead) -> bool:
        """Whether what is still to come stays within the budget."""
        return self.work + sum(trials * self._work(cell) for cell, trials in ahead) <= self.budget.limit

    def _work(self, cell: Values) -> float:
        """What a run of a cell costs, in target runs."""
        return self.design.steps(cell) / self.design.updates * self._weights[cell[1:]]

    def _passes(self, design: Design) -> tuple[float, float]:
        """How often the data are passed over: at most by a measured run, and by the target."""

        def of(setup: Setup, updates: int) -> float:
            samples = updates * setup.task.batch_size * setup.recipe.accumulate
            return samples / len(setup.task.train)

        whole = self.asked.whole
        return max(of(self._setups[cell[1:]], design.steps(cell)) for cell in design.cells), of(whole, whole.steps)

    def announcement(self) -> str:
        """What it will cost, before it starts."""
        design, one = self.design, self.budget.one
        lengths = sorted({design.steps(cell) for cell in design.cells})
        takes = self._takes
        return (
            f"cost: about {design.cost:.2g} of the target's {design.updates:,} updates, in {takes.written}"
            f" ({takes.low / one:.2g} to {takes.high / one:.2g} of its time): {len(design.cells)} cells of"
            f" {lengths[0]:,} to {lengths[-1]:,} updates, {LRS} LRs or more, {design.seeds}"
            f" seed{'s' * (design.seeds != 1)}{self._cheaper()}"
        )

    def _cheaper(self) -> str:
        """That a target so small is better tuned itself, where this costs as much."""
        if self.design.cost < DEFAULT_RUNS:
            return ""
        return f"; the target is small: `lrtool tune` finds its LR in about {DEFAULT_RUNS:g} runs of it, without a law"

    def cost(self) -> dict[str, Any]:
        """What it took, in parts of the target run."""
        return {
            "target_runs": round(self.work, 4),
            "target_seconds": self.budget.one,
            "time_in_target_runs": round(self.budget.spent_runs, 4),
            "seconds": round(self.budget.elapsed, 3),
            "trials": self.trials,
            "target_updates": self.design.updates,
            "planned_target_runs": round(self.design.cost, 4),
            "announced_seconds": [self._takes.low, self._takes.high],
        }

    def said(self) -> str:
        """The cost in a sentence."""
        return (
            f"cost: {number(self.work)} of the target run's training, in {number(self.budget.spent_runs)} of its time"
            f" ({self.budget.elapsed:.1f} s); {self.trials} trials, {self.steps:,} updates"
        )

    def _build(self, levels: Mapping[str, Sequence[float]]) -> None:
        """Every combination of values but the length, and what an update of it costs of one of the target."""
        least = {key: values[0] for key, values in levels.items()}
        single: dict[str, dict[float, Setup]] = {key: {} for key in levels}
        whole = self.asked.whole
        size, names = keys.parameters(whole), tuple(levels)
        for key in names or ("",):
            for value in levels.get(key, ()) or (0.0,):
                values = {**least, key: value} if key else {}
                place = tuple(values[name] for name in names)
                if place not in self._setups:
                    setup = self._setups[place] = self.asked.setup(values)
                    batch = setup.task.batch_size / whole.task.batch_size
                    self._weights[place] = min(1.0, batch) * keys.parameters(setup) / size
                if key:
                    single[key][value] = self._setups[place]
        keys.check_sizes(levels, single)

    def _plan(self, levels: Mapping[str, Sequence[float]], limit: float) -> Design | None:
        updates = self.asked.whole.steps
        return plan(levels, updates, limit, self._cost(levels), self.asked.goal, self._expected, self._longer)

    @property
    def _longer(self) -> bool:
        return DURATION in self.asked.target

    def _cost(self, levels: Mapping[str, Sequence[float]]) -> Cost:
        updates = self.asked.whole.steps
        return lambda values: values[DURATION] / updates * self._weights[tuple(values[name] for name in levels)]

    def _calls(self, design: Design | None) -> list[Amount]:
        """What the engine would be asked for, in updates that cost as much as the target's."""
        if design is None:
            return []
        return [
            Amount(LRS * design.seeds, max(1.0, design.steps(cell) * self._weights[cell[1:]]), 1)
            for cell in design.cells
        ]

    def _updates(self, design: Design) -> int:
        return round(1.2 * sum(LRS * design.seeds * design.steps(cell) for cell in design.cells))

    def _too_small(self, levels: Mapping[str, Sequence[float]]) -> UsageError:
        steps = self.asked.whole.steps
        least = least_cost(levels, steps, self._cost(levels), self._longer)
        remedy = "choose a longer target, or use tune"
        if least is not None:
            remedy = f"write at least --budget {_rounded_up(least):.2g}x"
        if least is not None and least >= 1:
            remedy += f", or use tune: about {DEFAULT_RUNS:g} runs find the LR of a target as small as this"
        return UsageError(
            f"{self.budget.runs:.3g} of a target run of {steps:,} updates holds no runs to learn from",
            where="--budget" if least is not None else "--to",
            remedy=remedy,
        )

    def _train(self, search: TransferSearch, cell: Values, lrs: Sequence[float], seeds: Sequence[int]) -> None:
        """Train these LRs of a cell with all seeds in one call of the engine."""
        setup, steps = self._setups[cell[1:]], search.design.steps(cell)
        runner = self._new_runner(setup)
        planned = [(lr, seed) for lr in lrs for seed in seeds]
        trials = [setup.trial(seed, lr, f"{_label(search.design, cell)} lr {lr:.3g}", steps=steps)
                  for lr, seed in planned]  # fmt: skip
        with runner:
            traces = runner.run(trials, setup.task, setup.recipe)
        for (lr, seed), trace in zip(planned, traces, strict=True):
            search.tell(cell, lr, seed, final_loss(trace))
        self.work += len(trials) * self._work(cell)
        self.steps, self.trials, self.validations = runner.steps, runner.trials, runner.validations

    def _new_runner(self, setup: Setup) -> TrialRunner:
        """A runner for trials of this setup, which numbers them on."""
        observers, engines = self._run.tracker.observers(), self._engines.of(setup)
        runner = TrialRunner(setup, self._writer, self._watch, engines, observers, self.memory)
        runner.trials, runner.steps, runner.validations = self.trials, self.steps, self.validations
        return runner


def _rounded_up(value: float) -> float:
    """To two digits."""
    digit = math.pow(10, math.floor(math.log10(value)) - 1)
    return math.ceil(value / digit) * digit


def _label(design: Design, cell: Values) -> str:
    return ", ".join(f"{short(key)} {value:g}" for key, value in zip(design.keys, cell, strict=True))
