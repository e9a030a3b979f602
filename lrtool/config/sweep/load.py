"""From a sweep's file to a checked sweep: its base read, its keys known, its size bearable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lrtool.analysis.pruning import PRUNERS, Pruner
from lrtool.config.checks import flags_for_numbers
from lrtool.config.document import Document, Path_, Place, read_document
from lrtool.config.fields import value_at
from lrtool.config.load import config_error, overridden, validate, with_bases
from lrtool.config.messages import in_order, problem_at, shown
from lrtool.config.override import absolute, key_path, located
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.schema import Config
from lrtool.config.sweep.combinations import MOST_TRIALS, count
from lrtool.config.sweep.planner import PlannedTrial, SweepPlanner
from lrtool.config.sweep.schema import Range, SweepConfig, Tune
from lrtool.config.sweep.unseen import unseen
from lrtool.errors import UsageError, closest
from lrtool.loggers import Logger

#: What other programs call a sweep's sections.
_SYNONYMS = {"parameters": "grid", "params": "grid", "config": "base", "trials": "samples", "n_trials": "samples"}


#: Keys that a grid, a random search or the conditions may name; nobody varies so many, and each is held against all.
_MOST_KEYS = 1_000

#: Sections that no config has.
_SECTIONS = frozenset({"variants", "grid", "random", "samples", "sampler", "seeds", "where", "tune", "prune"})


@dataclass(frozen=True)
class Sweep:
    """A sweep that is ready to be planned.

    `config` has its base written out, `base` is it; `documents`: both as they were read.
    """

    config: SweepConfig
    base: Config
    planner: SweepPlanner
    documents: tuple[Document, Document]

    @property
    def loggers(self) -> tuple[Logger, ...]:
        """What is to hear of it: its own loggers, or those of its base."""
        return self.base.logging if self.config.logging is None else self.config.logging

    def trials(self) -> list[PlannedTrial]:
        """Every trial; where TPE is to draw, with random samples in their place.

        Raises ConfigError with every problem, of what may be drawn later as well.
        """
        later = unseen(self.config, *self.documents)
        told = {(each.key, each.what) for each in later}
        try:
            planned = self.planner.trials(self.planner.combinations())
        except ConfigError as error:
            others = [each for each in error.problems if (each.key, each.what) not in told]
            raise ConfigError([*later, *others]) from None
        if later:
            raise ConfigError(later)
        return planned


def is_sweep(data: Mapping[str, Any]) -> bool:
    """Whether the data of a file are a sweep's: they have a base, or what only a sweep has."""
    return "base" in data or (not {"model", "optimizer"} & data.keys() and bool(_SECTIONS & data.keys()))


#: Why no trial of a sweep goes back, and what to write.
NO_RECOVERY = (
    "a sweep is to show which LRs diverge, so it does not go back and halve them",
    "write on_divergence: stop, or --set train.on_divergence=stop",
)


def load_sweep(
    path: Path,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    most: int = MOST_TRIALS,
    *,
    code_beside: bool = True,
) -> Sweep:
    """The sweep of a file, with `KEY=VALUE` overrides of its base.

    `code_beside`: whether code in the file's folder may run. Raises ConfigError with every problem and its place,
    UsageError where there would be more than `most` trials.
    """
    document = read_document(path)
    here = path.resolve()
    if "base" not in document.data and {"model", "optimizer"} & document.data.keys():
        what, written = "this is a config, not a sweep: it has no base", f"base: {path.name}"
        remedy = f"write: lrtool train {path}, or a sweep of it: {{{written}, grid: {{optimizer.lr: [0.01, 0.1]}}}}"
        raise ConfigError.one(str(path), "", what, remedy)
    _check_keys(document)
    base = _base(document, here)
    refused = overridden(base, overrides, here.parent)
    if seed is not None:
        base.data["seed"] = seed
        base.places[("seed",)] = Place("--seed")
    if refused:
        raise ConfigError(refused)
    checked = validate(base)
    _check_stops(checked, base, here)
    _make_absolute(document.data, here.parent)
    config = _validated(document, base)
    _check_size(config, path, most)
    # Not the base's name: a sweep's runs are no runs of its base.
    named = config.model_copy(update={"name": config.name or path.stem}).beside(here.parent, code_beside)
    documents = document, base
    return Sweep(named, checked.beside(here.parent, code_beside), SweepPlanner(named, *documents), documents)


def _validated(document: Document, base: Document) -> SweepConfig:
    if isinstance(prune := document.data.get("prune"), dict):
        prune.setdefault("kind", "halving")
    try:
        config = SweepConfig.model_validate({**document.data, "base": base.data})
    except ValidationError as error:
        raise config_error(error, document) from None
    what, remedy = "expected a number, but got true or false", "write for example 1"
    own = {key: value for key, value in document.data.items() if key not in ("base", "variants")}
    found = [problem_at(path, document, what, remedy) for path in flags_for_numbers(own, config, ())]
    if found:
        raise ConfigError(in_order(found))
    return config


def _check_stops(checked: Config, base: Document, here: Path) -> None:
    if checked.train.on_divergence != "stop":
        place = base.place(("train", "on_divergence")) or Place(str(here))
        raise ConfigError.one(str(place), "train.on_divergence", *NO_RECOVERY)


def _base(document: Document, here: Path) -> Document:
    """The document that all trials start from, from its file or from where it is written out."""
    given = document.data.get("base")
    if isinstance(given, str):
        written = Document({"extends": given}, {("extends",): document.place(("base",)) or Place(str(here))})
        base = with_bases(written, here)
    elif isinstance(given, dict):
        places = {at[1:]: place for at, place in document.places.items() if at[:1] == ("base",)}
        base = with_bases(Document(given, places), here)
    else:
        what = "this key is missing" if given is None else f"expected a file or a mapping, but got {shown(given)}"
        place = document.place(("base",)) or Place(str(here))
        raise ConfigError.one(str(place), "base", what, "write base: config.yaml")
    return Document({key: value for key, value in base.data.items() if key != "extends"}, base.places)


def _check_keys(document: Document) -> None:
    """Unknown keys of the sweep itself; those of its base and of what varies are the base's matter."""
    problems = list(_unknown(document, (), SweepConfig.model_fields))
    problems += _too_many(document)
    for section in ("tune", "prune"):
        if isinstance(given := document.data.get(section), dict):
            settings = Tune if section == "tune" else PRUNERS.kinds.get(given.get("kind", ""), Pruner)
            problems += _unknown(document, (section,), settings.model_fields)
    for section in ("grid", "random"):
        for key, value in _mapping(document.data.get(section)).items():
            if isinstance(value, dict):
                problems += _unknown(document, (section, key), Range.model_fields)
    if problems:
        raise ConfigError(problems)


def _too_many(document: Document) -> Iterator[Problem]:
    """Sections, and variants, that name more keys than anybody varies."""
    variants = [("variants", name) for name in _mapping(document.data.get("variants"))]
    for path in (("grid",), ("random",), ("where",), *variants):
        if len(_mapping(value_at(document.data, path))) > _MOST_KEYS:
            what = f"this names over {_MOST_KEYS:,} keys"
            yield Problem(str(document.place(path)), ".".join(map(str, path)), what, "vary fewer at a time")


def _unknown(document: Document, path: Path_, names: Iterable[str]) -> Iterator[Problem]:
    here: Any = document.data
    for part in path:
        here = here[part]
    listed = list(names)
    for key in here:
        if key in listed:
            continue
        near = _SYNONYMS[key] if not path and key in _SYNONYMS else closest(str(key), listed)
        remedy = f"did you mean {near!r}?" if near else f"choose one of: {', '.join(listed)}"
        whole = (*path, key)
        yield Problem(str(document.place(whole)), ".".join(map(str, whole)), "there is no such key", remedy)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _make_absolute(data: dict[str, Any], folder: Path) -> None:
    """Files named by what varies, and by loggers, start from the sweep's folder."""
    absolute(data.get("logging"), folder)
    for assigned in _mapping(data.get("variants")).values():
        for key, value in list(_mapping(assigned).items()):
            assigned[key] = located(key_path(str(key)), value, folder)
    for section in ("grid", "random"):
        for key, values in _mapping(data.get(section)).items():
            if isinstance(values, list):
                data[section][key] = [located(key_path(str(key)), value, folder) for value in values]


def _check_size(config: SweepConfig, path: Path, most: int) -> None:
    trials = count(config)
    if trials > most:
        raise UsageError(
            f"this sweep has {trials:,} trials, but at most {most:,} are allowed",
            where=str(path),
            remedy=f"vary fewer values, draw from them (random:, samples: 100), or write --max-trials {trials}",
        )
