"""From a sweep's combinations to its trials, each a checked config of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrtool.config.document import Document, Path_, Place
from lrtool.config.fields import kind_of
from lrtool.config.load import validate
from lrtool.config.override import key_path
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.schema import Config
from lrtool.config.sweep.combinations import Combination, cells, random_samples
from lrtool.config.sweep.expansion import expanded, in_order
from lrtool.config.sweep.schema import Assignments, SweepConfig
from lrtool.config.sweep.twins import MOST, KindsOfKeys, Twins, said_of_idle, said_of_twins

#: Different problems that are worth showing at once, and combinations that are looked at for them.
_SHOWN, _LOOKED = 20, 500
#: Keys of a config that are the same for all trials, or have a section of their own in a sweep.
_FIXED = ("extends", "seed", "name", "device", "logging", "cluster")


@dataclass(frozen=True)
class PlannedTrial:
    """A trial of a sweep: its number, what it is called, the keys that vary with their values, its whole config.

    `settings` has `variant`, the variant's name, besides the config's keys where variants are named. `cell` is its
    combination's.
    """

    number: int
    variant: str
    settings: dict[str, Any]
    config: Config
    cell: int = 0


class SweepPlanner:
    """Makes the trials of a sweep. `base` is the document that all start from, `document` the sweep's own."""

    def __init__(self, sweep: SweepConfig, document: Document, base: Document) -> None:
        self._sweep, self._document, self._base = sweep, document, base
        self._idle: dict[tuple[str, str], None] = {}
        self._twins: list[tuple[str, str]] = []
        self._same: dict[str, str] = {}

    @property
    def notes(self) -> list[str]:
        """What to know of the trials that were made: keys without effect, and what was left out for it."""
        alike = [f"the variants {first} and {second} train the same" for first, second in self._same.items()]
        return [*said_of_idle(self._idle), *said_of_twins(self._twins), *alike]

    @cached_property
    def _kinds(self) -> KindsOfKeys:
        return KindsOfKeys(self._sweep, self._base.data)

    @cached_property
    def cells(self) -> list[Combination]:
        """Every variant × grid point."""
        return list(cells(self._sweep))

    def combinations(self) -> list[Combination]:
        """Every cell × random sample, in that order, no two alike."""
        samples = random_samples(self._sweep)
        found: dict[str, Combination] = {}
        for cell in cells(self._sweep):
            for sample in samples:
                settled = self.settled(cell, sample.__getitem__)
                found.setdefault(settled.label, settled)
        return list(found.values())

    def settled(self, cell: Combination, value: Callable[[str], Any]) -> Combination:
        """A cell with a `value` for each key that is drawn, without the keys whose conditions do not hold.

        Those are not drawn at all. A condition may depend on what stands before it in `where`. Keys that this
        combination's kinds do not have, though others of the sweep do, are left out as well.
        """
        where, drawn = self._sweep.where, self._sweep.random
        settings = {key: given for key, given in cell.settings.items() if key not in where}
        settings |= {key: value(key) for key in drawn if key not in where}
        for key in where:
            if (key in cell.settings or key in drawn) and self._holds(where[key], settings, cell.origins):
                settings[key] = value(key) if key in drawn else cell.settings[key]
        idle = self._kinds.idle(settings)
        self._idle.update(dict.fromkeys(idle.items()))
        settings = {key: given for key, given in settings.items() if key not in idle}
        return Combination(cell.variant, settings, cell.origins, cell.cell)

    def trials(
        self,
        chosen: Iterable[Combination],
        more: Mapping[str, Assignments] | None = None,
        first: int = 0,
    ) -> list[PlannedTrial]:
        """Every trial of these combinations, seeds innermost, numbered from `first`.

        `more` sets further keys by the label of a combination (tuned LRs). Raises ConfigError with every problem.
        """
        planned: list[PlannedTrial] = []
        problems: dict[Problem, None] = {}
        failed = 0
        combinations = list(chosen)
        twins = Twins() if len(combinations) <= MOST and self._sweep.sampler != "tpe" else None
        for combination in combinations:
            extra = (more or {}).get(combination.label, {})
            try:
                config = self.config(combination, extra)
            except ConfigError as error:
                problems.update(dict.fromkeys(error.problems))
                failed += 1
                if len(problems) > _SHOWN or failed > _LOOKED:
                    break
                continue
            if twins is not None and self._is_twin(combination, twins.of(combination, config)):
                continue
            planned += self._seeded(combination, config, extra, first + len(planned))
        if problems:
            raise ConfigError(list(problems))
        return planned

    def _is_twin(self, combination: Combination, other: Combination | None) -> bool:
        """Whether one that trains the same is there already; variants that somebody named are trained all the same."""
        if other is None:
            return False
        if combination.variant != other.variant:
            self._same[other.label] = combination.label
            return False
        if (combination.label, other.label) not in self._twins:
            self._twins.append((combination.label, other.label))
        return True

    def config(self, combination: Combination, extra: Assignments) -> Config:
        """The checked config of a combination, with the base's seed."""
        settings = {**combination.settings, **extra}
        data = self._data(settings, combination.origins)
        try:
            config = validate(Document(data, self._base.places))
        except ConfigError:
            # Once more, with the places of what the sweep sets: only errors need them.
            config = validate(self._placed(data, settings, combination.origins))
        return config.beside(self._sweep.folder, self._sweep.code_beside)

    def _seeded(
        self, combination: Combination, config: Config, extra: Assignments, first: int
    ) -> Iterator[PlannedTrial]:
        named = {"variant": combination.variant} if combination.variant else {}
        settings = {**named, **combination.settings, **extra}
        for number, seed in enumerate(self._seeds(config), first):
            one = config.model_copy(update={"seed": seed})
            yield PlannedTrial(number, combination.label, settings, one, combination.cell)

    def _seeds(self, config: Config) -> Sequence[int]:
        seeds = self._sweep.seeds
        if seeds is None:
            return [config.seed]
        return range(config.seed, config.seed + seeds) if isinstance(seeds, int) else seeds

    def _holds(self, conditions: Mapping[str, list[Any]], settings: Assignments, origins: Mapping[str, Path_]) -> bool:
        data = self._data(settings, origins)
        return all(_written(data, key_path(key)) in values for key, values in conditions.items())

    def _data(self, settings: Assignments, origins: Mapping[str, Path_]) -> dict[str, Any]:
        def place(key: str) -> str:
            return str(self._document.place(origins.get(key, ())) or "sweep")

        for key in settings:
            if key.partition(".")[0] in _FIXED:
                raise ConfigError.one(
                    place(key), key, "this key cannot vary", "write seeds: 5 for seeds, or leave it out"
                )
        return expanded(self._base.data, settings, place)

    def _placed(self, data: dict[str, Any], settings: Assignments, origins: Mapping[str, Path_]) -> Document:
        document = Document(data, dict(self._base.places))
        for key in in_order(settings):
            origin, path = origins.get(key, ()), key_path(key)
            document.forget(path)
            place = self._document.place(origin) or Place("sweep")
            for depth in range(1, len(path)):
                document.places.setdefault(path[:depth], place)
            document.places[path] = place
            # The values of a grid, and those that are drawn from, stand below their key.
            key_at = origin[:2] if origin[:1] in (("grid",), ("random",)) else origin
            document.keys[path] = self._document.place(key_at) or place
            for at, each in self._document.places.items():
                if origin and at[: len(origin)] == origin != at:
                    document.places[(*path, *at[len(origin) :])] = each
        return document


def _written(data: Any, path: Path_) -> Any:
    """What stands at a path; a kind's short form counts as its `kind`."""
    for part in path:
        if part == "kind":
            data = kind_of(data)
        elif isinstance(data, Mapping):
            data = data.get(part)
        else:
            data = data[part] if isinstance(data, list) and isinstance(part, int) and part < len(data) else None
    return data
