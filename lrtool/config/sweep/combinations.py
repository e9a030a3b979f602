"""What a sweep's trials set: every variant × every combination of the grid × every random sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np

from lrtool.config.document import Path_, write_yaml
from lrtool.config.sweep.schema import Assignments, Range, SweepConfig
from lrtool.printable import one_line

#: Trials of a sweep, unless more are allowed.
MOST_TRIALS = 100_000


@dataclass(frozen=True)
class Combination:
    """What one trial sets, seeds left out; `origins` are the paths in the sweep's file where each key was given.

    `cell` counts variants × grid points from 0: samples of one cell differ in what was drawn, and in nothing else.
    """

    variant: str
    settings: Assignments
    origins: Mapping[str, Path_]
    cell: int

    @cached_property
    def label(self) -> str:
        """What it is called: its variant, and what else it sets; no two combinations of a sweep share it."""
        others = [key for key in self.settings if self.origins.get(key, ("",))[0] != "variants"]
        said = [one_line(f"{key}={_short(self.settings[key])}") for key in others]
        return ", ".join([*filter(None, [one_line(self.variant)]), *said]) or "base"


def count(sweep: SweepConfig) -> int:
    """How many trials a sweep has at most (conditions may leave fewer)."""
    grid = prod(values.points or 1 if isinstance(values, Range) else len(values) for values in sweep.grid.values())
    return max(1, len(sweep.variants)) * grid * (sweep.samples or 1) * seed_count(sweep)


def seed_count(sweep: SweepConfig) -> int:
    """How many seeds each combination has."""
    if sweep.seeds is None:
        return 1
    return sweep.seeds if isinstance(sweep.seeds, int) else len(sweep.seeds)


def cells(sweep: SweepConfig) -> Iterator[Combination]:
    """Every variant × grid point, in that order; nothing is drawn yet, and conditions come later."""
    grid = {key: _indexed(values) for key, values in sweep.grid.items()}
    variants = (sweep.variants or {"": {}}).items()
    for number, ((name, assigned), point) in enumerate(product(variants, product(*grid.values()))):
        settings = dict(assigned)
        origins: dict[str, Path_] = {key: ("variants", name, key) for key in assigned}
        for key, (index, value) in zip(grid, point, strict=True):
            settings[key] = value
            origins[key] = ("grid", key) if index is None else ("grid", key, index)
        origins.update({key: ("random", key) for key in sweep.random})
        yield Combination(name, settings, origins, number)


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


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and list(value) == ["kind"]:
        return str(value["kind"])
    return write_yaml(value, flow=True, width=10_000).removesuffix("...\n").strip()
