"""Combinations of a sweep that train the same: keys that a kind does not have, and values that change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lrtool.config.fields import classes_at, kind_of, registry_of
from lrtool.config.schema import Config
from lrtool.config.settings import digest
from lrtool.config.specs import Spec
from lrtool.config.sweep.combinations import Combination
from lrtool.config.sweep.schema import Assignments, Range, SweepConfig
from lrtool.errors import ScheduleError

#: Combinations up to which all are held against each other: more would take longer than they can save.
MOST = 5_000
#: What changes no update and no validation.
_IDLE = {"name": True, "device": True, "range_test": True, "train": {"best", "checkpoint_every"}}
#: Updates of an epoch where its length is not known, and the points at which two curves are held side by side.
_PER_EPOCH, _POINTS = 50, 512


class KindsOfKeys:
    """Tells which keys that vary a combination can have: one kind of schedule or optimizer has what another has not."""

    def __init__(self, sweep: SweepConfig, base: Mapping[str, Any]) -> None:
        self._base = base
        varied = [*sweep.grid, *sweep.random]
        sections = {key.partition(".")[0] for key in [*varied, *(k for each in sweep.variants.values() for k in each)]
                    if _names_kind(key)}  # fmt: skip
        possible = {section: list(_kinds(section, sweep, base)) for section in sections}
        #: Keys that may not apply, by their section: those that some of the kinds have.
        self._doubtful = {
            key: key.partition(".")[0]
            for key in varied
            if key.count(".") == 1 and not _names_kind(key) and key.partition(".")[0] in sections
            and any(self._has(key, kind) for kind in possible[key.partition(".")[0]])
        }  # fmt: skip

    def idle(self, settings: Assignments) -> dict[str, str]:
        """The keys of a combination that its kinds do not have, each with that kind."""
        found = {}
        for key, section in self._doubtful.items():
            if key in settings:
                kind = _kind_here(section, settings, self._base)
                if not self._has(key, kind):
                    found[key] = str(kind)
        return found

    def _has(self, key: str, kind: Any) -> bool:
        """Whether a kind of its section has a field; what is no kind is a mistake that is told elsewhere."""
        section, _, name = key.partition(".")
        registry = registry_of(classes_at((section,), self._base)[1])
        cls = registry.kinds.get(kind) if registry is not None and isinstance(kind, str) else None
        return cls is None or name in cls.model_fields


def _names_kind(key: str) -> bool:
    return key.count(".") == 0 or key.rpartition(".")[2] in ("kind", "use")


def _kinds(section: str, sweep: SweepConfig, base: Mapping[str, Any]) -> Iterator[Any]:
    """Every kind that a section takes in a sweep."""
    yield kind_of(base.get(section))
    for values in (sweep.grid, sweep.random, *sweep.variants.values()):
        for key in (section, f"{section}.kind", f"{section}.use"):
            given = values.get(key)
            if given is not None and not isinstance(given, Range):
                for value in given if isinstance(given, list) and values not in sweep.variants.values() else [given]:
                    yield "use" if key.endswith(".use") else kind_of(value)


def _kind_here(section: str, settings: Assignments, base: Mapping[str, Any]) -> Any:
    if f"{section}.use" in settings:
        return "use"
    return settings.get(f"{section}.kind", kind_of(settings.get(section, base.get(section))))


def effect(config: Config) -> str:
    """The same for configs that train the same but for their seed, update by update."""
    data = config.model_dump(mode="json", exclude={**_IDLE, "seed": True})  # type: ignore[arg-type]
    try:
        duration = config.train.duration
        steps = max(1, duration.steps(None, _PER_EPOCH))
        curves = Spec.of(config, steps_per_epoch=_PER_EPOCH).curves(config.optimizer.lr, steps)
    except (ScheduleError, ValueError):
        return digest(data)
    at = np.unique(np.linspace(0, steps - 1, _POINTS).astype(np.int64))
    drawn = {name: np.asarray(curve(at), dtype=np.float64).tolist() for name, curve in curves.items()}
    return digest({**data, "schedule": drawn, "schedules": {}})


class Twins:
    """Combinations by what they train, as they come."""

    def __init__(self) -> None:
        self._first: dict[str, Combination] = {}

    def of(self, combination: Combination, config: Config) -> Combination | None:
        """The one before it that trains the same; None where it is the first."""
        first = self._first.setdefault(effect(config), combination)
        return first if first is not combination else None


def said_of_idle(idle: Mapping[tuple[str, str], None]) -> list[str]:
    """What to say of keys that some kinds do not have."""
    return [
        f"{key} has no effect where {key.partition('.')[0]} is {kind}: what differs in it alone is trained once"
        for key, kind in idle
    ]


def said_of_twins(twins: Sequence[tuple[str, str]]) -> list[str]:
    """What to say of combinations that were left out, each with the one that trains the same."""
    if not twins:
        return []
    (first, other), many = twins[0], len(twins)
    them = f"{many} combinations train" if many > 1 else "1 combination trains"
    return [f"{them} the same as another, and {'are' if many > 1 else 'is'} left out: {first} is as {other}"]
