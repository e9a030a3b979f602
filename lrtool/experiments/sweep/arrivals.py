"""The order in which a sweep trains its variants: all at once, or in batches, each drawn from those before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from math import ceil

from lrtool.config.messages import shown
from lrtool.config.settings import digest
from lrtool.config.sweep.combinations import Combination, count
from lrtool.config.sweep.load import Sweep
from lrtool.config.sweep.planner import PlannedTrial
from lrtool.config.sweep.schema import SweepConfig, drawable
from lrtool.errors import UsageError
from lrtool.executors import Executor
from lrtool.experiments.observers import ObserverFactory
from lrtool.experiments.sweep.decision import Outlook
from lrtool.experiments.sweep.jobs import WHOLE
from lrtool.experiments.sweep.options import Board, Options
from lrtool.experiments.sweep.outcome import failed
from lrtool.experiments.sweep.rungs import ArrivalBatch, RungTrainer
from lrtool.experiments.sweep.tpe import Known, next_samples
from lrtool.experiments.sweep.trainer import Trainer
from lrtool.experiments.sweep.variant_lrs import TunedLRs
from lrtool.runs.folder import RunFolder
from lrtool.runs.sweep.leaders import Leaders
from lrtool.runs.sweep.store import SweepStore
from lrtool.status import Status

#: A sample as it is remembered: the number of its cell, and what was drawn.
Drawn = tuple[int, dict[str, object]]


class Arrivals:
    """Carries out a sweep once: every variant arrives, is given its LR where that is tuned, and is trained."""

    def __init__(
        self,
        sweep: Sweep,
        folder: RunFolder,
        options: Options,
        executor: Executor | None,
        store: SweepStore,
        board: Board,
        watch: ObserverFactory,
    ) -> None:
        self._sweep, self._store, self._board = sweep, store, board
        config = sweep.config
        self.trainer = Trainer(options, executor, sweep.base.device, store, board, outlook(sweep))
        self._rungs = RungTrainer(config.prune, self.trainer, store) if config.prune is not None else None
        self._lrs = None
        if config.tune is not None:
            self._lrs = TunedLRs(config.tune, store, folder.path, watch, options.allow_import, executor)
        self.planned = 0
        self._labels: set[str] = set()

    @property
    def tuned(self) -> dict[str, float | None]:
        """The LR that was found for each variant; None where none could be."""
        return self._lrs.found if self._lrs is not None else {}

    @property
    def notes(self) -> list[str]:
        """What to know of the plan, such as keys that have no effect."""
        return self._sweep.planner.notes

    def train(self) -> None:
        """Train what is missing."""
        whole: list[int] = []
        for batch in self._drawn() if self._sweep.config.sampler == "tpe" else self._listed():
            if self._rungs is not None:
                self._rungs.train(batch)
            else:
                self.trainer.train(batch.numbers, WHOLE)
            whole += batch.numbers
        if self._rungs is not None:
            self._rungs.finish()
            # What failed before its rung was decided, and is retried.
            self.trainer.train(whole, WHOLE)

    def _listed(self) -> Iterator[ArrivalBatch]:
        """All at once; in batches, whose order is drawn, where no rung waits for all."""
        trials = self._arrived(self._sweep.planner.combinations())
        self._begin(len(trials))
        variants: dict[str, list[PlannedTrial]] = {}
        for trial in trials:
            variants.setdefault(trial.variant, []).append(trial)
        config, order = self._sweep.config, list(variants)
        size = len(order)
        if config.prune is not None and config.prune.in_batches:
            size = config.batch
            # A grid in its own order may get better and better, so that all would go on; a hash is nobody's order.
            order.sort(key=lambda name: digest([config.sample_seed, name]))
        for number, first in enumerate(range(0, len(order), size)):
            rivals = [trial for name in order[first : first + size] for trial in variants[name]]
            yield ArrivalBatch(number, {0: rivals}, first + size >= len(order))

    def _drawn(self) -> Iterator[ArrivalBatch]:
        """ArrivalBatch after batch of samples for every cell, each a search of its own."""
        config, planner = self._sweep.config, self._sweep.planner
        assert config.samples is not None
        self._begin(count(config))
        before: list[list[Combination]] = [[] for _ in planner.cells]
        for number, first in enumerate(range(0, config.samples, config.batch)):
            key = f"drawn:{number}"
            if self._store.fact(key) is None:
                # Before any of them is trained, and read back: a resumed sweep trains the same.
                self._store.remember(key, self._next(before, min(config.batch, config.samples - first)))
            samples: list[Drawn] = self._store.fact(key)
            _check_drawn(config, len(planner.cells), samples)
            made = [planner.settled(planner.cells[cell], sample.__getitem__) for cell, sample in samples]
            for each in made:
                before[each.cell].append(each)
            pools: dict[int, list[PlannedTrial]] = {}
            for trial in self._arrived(made):
                pools.setdefault(trial.cell, []).append(trial)
            yield ArrivalBatch(number, pools, first + config.batch >= config.samples)

    def _next(self, before: Sequence[Sequence[Combination]], size: int) -> list[Drawn]:
        """The next samples of every cell."""
        config, planner = self._sweep.config, self._sweep.planner
        trials = self._store.trials()
        losses = {each.variant: each.mean for each in Leaders(trials).ranked() if not each.others}
        lost = {trial.variant for trial in trials if trial.status in (Status.DIVERGED, Status.FAILED)}
        reached = {} if self._rungs is None else self._rungs.reached
        drawn: list[Drawn] = []
        for cell, samples in zip(planner.cells, before, strict=True):
            names = [(each.settings, each.label) for each in samples]
            known = [
                Known(settings, losses.get(name), None if name in lost else reached.get(name))
                for settings, name in names
            ]
            made = next_samples(config, partial(planner.settled, cell), known, size)
            own = [{key: each.settings[key] for key in config.random if key in each.settings} for each in made]
            drawn += [(cell.cell, sample) for sample in own]
        return drawn

    def _arrived(self, chosen: Iterable[Combination]) -> list[PlannedTrial]:
        """The trials of those combinations that are new, known to the trainer, each with its LR."""
        new = {each.label: each for each in chosen if each.label not in self._labels}
        self._labels |= new.keys()
        lrs = self._lrs.search(self._sweep.planner, list(new.values())) if self._lrs is not None else {}
        trials = self._sweep.planner.trials(new.values(), lrs, self.planned)
        self.planned += len(trials)
        self.trainer.add(trials)
        untuned = self._lrs.untuned if self._lrs is not None else {}
        for trial in trials:
            if trial.variant in untuned and not self.trainer.is_over(trial.number):
                why = f"no LR can be named for this variant: {untuned[trial.variant]}"
                self.trainer.record(failed(trial, why))
        return trials

    def _begin(self, trials: int) -> None:
        over = [trial for trial in self._store.trials() if self.trainer.is_over(trial.number)]
        left, prune = trials - len(over), self._sweep.config.prune
        self._board.begin(left, over, left * (1.0 if prune is None else prune.share))
        for note in self._sweep.planner.notes:
            self._board.note(f"note: {note}")


def _check_drawn(config: SweepConfig, cells: int, samples: Sequence[Drawn]) -> None:
    """Raise UsageError where samples that a store remembers are none of its sweep's.

    They become settings of trials, arguments of the user's code among them, and a store may come from anywhere.
    """
    for cell, sample in samples:
        if cell not in range(cells) or any(
            key not in config.random or not drawable(config.random[key], value) for key, value in sample.items()
        ):
            raise UsageError(
                f"sweep.sqlite says that {shown(sample)} was drawn, which the sweep's `random` does not hold",
                where="sweep",
                remedy="start the sweep anew",
            )


def outlook(sweep: Sweep) -> Outlook:
    """What the first batch of a sweep grows to."""
    config = sweep.config
    prune, tpe = config.prune, config.sampler == "tpe"
    arriving = 0
    if tpe or (prune is not None and prune.in_batches):
        arriving = config.samples if tpe and config.samples else len(sweep.planner.combinations())
    batches = max(1, ceil(arriving / config.batch))
    # About as many trials reach the same rung in each batch, and about as much is trained on every rung.
    sizes = 1 if prune is None else prune.rungs + 1
    growth = arriving / min(arriving, config.batch) if tpe else 1.0
    return Outlook(growth * (1.0 if prune is None else prune.share), batches * sizes, sizes)
