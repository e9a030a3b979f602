"""From a sweep's config to its trials: every combination, each a checked config of its own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from lrtool.config.document import Document, Path_, Place, write_yaml
from lrtool.config.load import validate
from lrtool.config.messages import kind_of
from lrtool.config.override import assign, key_path
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.schema import Config
from lrtool.config.sweep import Assignments, Range, SweepConfig

#: Trials of a sweep, unless more are allowed.
MOST_TRIALS = 100_000
#: Different problems that are worth showing at once, and combinations that are looked at for them.
_SHOWN, _LOOKED = 20, 500


@dataclass(frozen=True)
class PlannedTrial:
    """A trial of a sweep: its number, what it is called, the keys that vary with their values, its whole config.

    `settings` has `variant`, the variant's name, besides the config's keys where variants are named.
    """

    number: int
    variant: str
    settings: dict[str, Any]
    config: Config


@dataclass(frozen=True)
class Combination:
    """What one trial sets, seeds left out; `origins` are the paths in the sweep's file where each key was given."""

    variant: str
    settings: Assignments
    origins: Mapping[str, Path_]


def count(sweep: SweepConfig) -> int:
    """How many trials a sweep has at most (conditions may leave fewer)."""
    grid = prod(values.points or 1 if isinstance(values, Range) else len(values) for values in sweep.grid.values())
    return max(1, len(sweep.variants)) * grid * (sweep.samples or 1) * seed_count(sweep)


def seed_count(sweep: SweepConfig) -> int:
    """How many seeds each combination has."""
    if sweep.seeds is None:
        return 1
    return sweep.seeds if isinstance(sweep.seeds, int) else len(sweep.seeds)


def combinations(sweep: SweepConfig, samples: Sequence[Assignments] | None = None) -> Iterator[Combination]:
    """Every variant × grid point × random sample, in that order; conditions come later.

    `samples` stand for the random ones where given.
    """
    grid = {key: _indexed(values) for key, values in sweep.grid.items()}
    samples = random_samples(sweep) if samples is None else samples
    for name, assigned in (sweep.variants or {"": {}}).items():
        for point in product(*grid.values()):
            for sample in samples:
                settings = dict(assigned)
                origins: dict[str, Path_] = {key: ("variants", name, key) for key in assigned}
                for key, (index, value) in zip(grid, point, strict=True):
                    settings[key] = value
                    origins[key] = ("grid", key) if index is None else ("grid", key, index)
                for key, value in sample.items():
                    settings[key], origins[key] = value, ("random", key)
                yield Combination(name, settings, origins)


def _indexed(values: Range | list[Any]) -> list[tuple[int | None, Any]]:
    if isinstance(values, Range):
        return [(None, value) for value in values.values()]
    return list(enumerate(values))


def random_samples(sweep: SweepConfig) -> list[Assignments]:
    """The random samples: the same for every variant, so that variants compare."""
    if not sweep.samples:
        return [{}]
    generator = np.random.default_rng(sweep.sample_seed)
    made = []
    for _ in range(sweep.samples):
        parts = generator.random(len(sweep.random)).tolist()
        made.append(
            {key: _drawn(values, part) for (key, values), part in zip(sweep.random.items(), parts, strict=True)}
        )
    return made


def _drawn(values: Range | list[Any], part: float) -> Any:
    return values.draw(part) if isinstance(values, Range) else values[int(part * len(values))]


class Planner:
    """Makes the trials of a sweep. `base` is the document that all start from, `document` the sweep's own."""

    def __init__(self, sweep: SweepConfig, document: Document, base: Document) -> None:
        self._sweep, self._document, self._base = sweep, document, base

    def trials(
        self, more: Mapping[str, Assignments] | None = None, samples: Sequence[Assignments] | None = None
    ) -> list[PlannedTrial]:
        """Every trial, seeds innermost, no two alike.

        `more` sets further keys by the label of a combination (tuned LRs); `samples` stand for the random ones.
        Raises ConfigError with every problem.
        """
        planned: list[PlannedTrial] = []
        problems: dict[Problem, None] = {}
        failed, seen = 0, set()
        for combination in self._reduced(samples):
            text = json.dumps([combination.variant, combination.settings], sort_keys=True)
            if text in seen:
                continue
            seen.add(text)
            extra = (more or {}).get(label(combination), {})
            try:
                config = self._config(combination, extra)
            except ConfigError as error:
                problems.update(dict.fromkeys(error.problems))
                failed += 1
                if len(problems) > _SHOWN or failed > _LOOKED:
                    break
                continue
            named = {"variant": combination.variant} if combination.variant else {}
            settings = {**named, **combination.settings, **extra}
            for seed in self._seeds(config):
                one = config.model_copy(update={"seed": seed}).beside(self._sweep.folder)
                planned.append(PlannedTrial(len(planned), label(combination), settings, one))
        if problems:
            raise ConfigError(list(problems))
        return planned

    def variants(self) -> list[tuple[str, Config]]:
        """One config for each combination without seeds, with its label: what is tuned."""
        found: dict[str, Config] = {}
        for combination in self._reduced():
            if label(combination) not in found:
                found[label(combination)] = self._config(combination, {}).beside(self._sweep.folder)
        return list(found.items())

    def _seeds(self, config: Config) -> Sequence[int]:
        seeds = self._sweep.seeds
        if seeds is None:
            return [config.seed]
        return range(config.seed, config.seed + seeds) if isinstance(seeds, int) else seeds

    def _reduced(self, samples: Sequence[Assignments] | None = None) -> Iterator[Combination]:
        """Combinations without the keys whose conditions do not hold."""
        where = self._sweep.where
        for combination in combinations(self._sweep, samples):
            if not where.keys() & combination.settings.keys():
                yield combination
                continue
            settings = {key: value for key, value in combination.settings.items() if key not in where}
            for key in where:
                if key in combination.settings and self._holds(where[key], settings, combination):
                    settings[key] = combination.settings[key]
            yield Combination(combination.variant, settings, combination.origins)

    def _holds(self, conditions: Mapping[str, list[Any]], settings: Assignments, combination: Combination) -> bool:
        data = self._data(settings, combination.origins)
        return all(_written(data, key_path(key)) in values for key, values in conditions.items())

    def _config(self, combination: Combination, extra: Assignments) -> Config:
        settings = {**combination.settings, **extra}
        data = self._data(settings, combination.origins)
        try:
            return validate(Document(data, self._base.places))
        except ConfigError:
            # Once more, with the places of what the sweep sets: only errors need them.
            return validate(Document(data, self._places(settings, combination.origins)))

    def _data(self, settings: Assignments, origins: Mapping[str, Path_]) -> dict[str, Any]:
        data = copy.deepcopy(self._base.data)
        # A section comes before what is in it.
        for key in sorted(settings, key=lambda key: key.count(".")):
            place = str(self._document.place(origins.get(key, ())) or "sweep")
            if key.partition(".")[0] in ("extends", "seed", "name", "device"):
                raise ConfigError.one(place, key, "this key cannot vary", "write seeds: 5 for seeds, or leave it out")
            assign(data, key_path(key), copy.deepcopy(settings[key]), place)
        return data

    def _places(self, settings: Assignments, origins: Mapping[str, Path_]) -> dict[Path_, Place]:
        document = Document({}, dict(self._base.places))
        for key in sorted(settings, key=lambda key: key.count(".")):
            origin, path = origins.get(key, ()), key_path(key)
            document.forget(path)
            place = self._document.place(origin) or Place("sweep")
            for depth in range(1, len(path)):
                document.places.setdefault(path[:depth], place)
            document.places[path] = place
            for at, each in self._document.places.items():
                if origin and at[: len(origin)] == origin != at:
                    document.places[(*path, *at[len(origin) :])] = each
        return document.places


def label(combination: Combination) -> str:
    """What a combination is called: its variant, and what else it sets; no two combinations share it."""
    settings, origins = combination.settings, combination.origins
    others = [key for key in settings if origins.get(key, ("",))[0] != "variants"]
    return (
        ", ".join([*filter(None, [combination.variant]), *(f"{key}={_short(settings[key])}" for key in others)])
        or "base"
    )


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and list(value) == ["kind"]:
        return str(value["kind"])
    return write_yaml(value, flow=True, width=10_000).removesuffix("...\n").strip()


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
