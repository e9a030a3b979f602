"""Mistakes of a sweep that its plan may never show: values that are not drawn at first, conditions that cannot hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from lrtool.config.document import Document, Path_
from lrtool.config.fields import classes_at, field_at, registry_of, value_at
from lrtool.config.override import key_path
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.sweep.combinations import Combination, cells, random_samples
from lrtool.config.sweep.expansion import expanded
from lrtool.config.sweep.planner import SweepPlanner
from lrtool.config.sweep.schema import Range, SweepConfig
from lrtool.errors import closest, nearest

#: Values that are tried, the combinations that each is tried in, and parts of a range.
_MOST, _CONTEXTS, _PARTS = 500, 6, (0.0, 0.371, 1.0)


def unseen(sweep: SweepConfig, document: Document, base: Document) -> list[Problem]:
    """What is wrong with values that may be drawn but fit no trial, and with conditions that no combination meets.

    `document` is the sweep's own, `base` the one that all trials start from.
    """
    contexts = list(_contexts(sweep))
    found = [
        *_of_values(sweep, SweepPlanner(sweep, document, base), contexts),
        *_of_conditions(sweep, document, [*_data(base.data, contexts)]),
    ]
    return list(dict.fromkeys(found))


def _contexts(sweep: SweepConfig) -> Iterator[Combination]:
    """Every variant with some points of the grid and some samples: what the values of one key are tried in."""
    some = {"samples": min(sweep.samples, _CONTEXTS)} if sweep.samples else {}
    samples = random_samples(sweep.model_copy(update=some))
    seen: dict[str, int] = {}
    for cell in islice(cells(sweep), _MOST):
        seen[cell.variant] = seen.get(cell.variant, 0) + 1
        if seen[cell.variant] <= _CONTEXTS:
            yield from (replace(cell, settings={**cell.settings, **sample}) for sample in samples)


def _of_values(sweep: SweepConfig, planner: SweepPlanner, contexts: list[Combination]) -> Iterator[Problem]:
    """What is wrong with values of `random` in every combination that has them."""
    given = ((key, *each) for key, values in sweep.random.items() for each in _numbered(values))
    for key, number, value in islice(given, _MOST):
        origin: Path_ = ("random", key) if number is None else ("random", key, number)
        wrong: list[Problem] = []
        for context in contexts:
            found = _wrong(planner, context, key, value, origin)
            if found == []:
                break
            wrong = wrong or found or []
        else:
            yield from wrong


def _numbered(values: Range | list[Any]) -> Iterable[tuple[int | None, Any]]:
    return ((None, values.draw(part)) for part in _PARTS) if isinstance(values, Range) else enumerate(values)


def _wrong(planner: SweepPlanner, context: Combination, key: str, value: Any, origin: Path_) -> list[Problem] | None:
    """What is wrong with the value of a key in a combination, None where that lacks the key.

    What else is wrong there is said of its trials.
    """
    try:
        settled = planner.settled(context, {**context.settings, key: value}.__getitem__)
        if key not in settled.settings:
            return None
        planner.config(replace(settled, origins={**settled.origins, key: origin}), {})
    except ConfigError as error:
        return [each for each in error.problems if f"{each.key}.".startswith(f"{key}.")]
    return []


def _of_conditions(sweep: SweepConfig, document: Document, contexts: list[dict[str, Any]]) -> Iterator[Problem]:
    """Conditions on keys that no combination has, and on kinds that there are none of."""
    for key, conditions in sweep.where.items():
        for other, values in conditions.items():
            path, at = key_path(other), ("where", key, other)
            if contexts and not any(_may_stand(path, data) for data in contexts):
                word, names = _misspelt(path, contexts[0])
                near = closest(word, names)
                remedy = f"did you mean {near!r}?" if near else "give a key of the config, as schedule.kind"
                yield Problem(str(document.place(at)), ".".join(at), "there is no such key", remedy)
            elif contexts and path[-1] == "kind":
                registry = registry_of(classes_at(path[:-1], contexts[0])[1])
                for number, value in enumerate(values if registry is not None else ()):
                    if registry is not None and value not in registry.kinds:
                        what, place = f"there is no {registry.noun} {value!r}", document.place((*at, number))
                        yield Problem(str(place), ".".join(at), what, nearest(str(value), registry.kinds))


def _may_stand(path: Path_, data: Mapping[str, Any]) -> bool:
    """Whether a config may have a key; what stands in `args` is the user's own."""
    if "args" in path or field_at(path, data) is not None or value_at(data, path) is not None:
        return True
    return path[-1] in ("kind", "use") and registry_of(classes_at(path[:-1], data)[1]) is not None


def _misspelt(path: Path_, data: Mapping[str, Any]) -> tuple[str, Iterable[str]]:
    """The first part of a path that leads nowhere, and the keys that may stand there."""
    end = next((end for end in range(1, len(path)) if not _may_stand(path[:end], data)), len(path))
    model, _ = classes_at(path[: end - 1], data)
    return str(path[end - 1]), model.model_fields if model is not None else ()


def _data(base: Mapping[str, Any], contexts: Iterable[Combination]) -> Iterator[dict[str, Any]]:
    """The data of combinations; of those that lead nowhere their trials are told."""
    for context in contexts:
        try:
            yield expanded(base, context.settings)
        except ConfigError:
            continue
