"""From a file, its bases and the command line's overrides to a checked config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lrtool import schedules
from lrtool.config.document import Document, Path_, Place, parse_document, read_document
from lrtool.config.messages import config_error, in_order, problem_at, shown
from lrtool.config.override import absolute, override
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.schema import Config
from lrtool.errors import ScheduleError

__all__ = ["config_error", "load_config", "validate"]


def load_config(path: Path | None, overrides: Sequence[str] = (), seed: int | None = None) -> Config:
    """The config of a file (None: the embedded default), with `KEY=VALUE` overrides applied in order.

    Raises ConfigError with every problem and its place.
    """
    document = _inherited(path, ()) if path is not None else _preset("default")
    folder = path.resolve().parent if path is not None else Path.cwd()
    for text in overrides:
        override(document, text, folder)
    if seed is not None:
        document.data["seed"] = seed
        document.places[("seed",)] = Place("--seed")
    return validate(document).beside(folder)


def validate(document: Document) -> Config:
    """The config a document holds; raises ConfigError with every problem and its place."""
    data = {key: value for key, value in document.data.items() if key != "extends"}
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise config_error(error, document) from None
    problems = in_order(_beyond_fields(config, document))
    if problems:
        raise ConfigError(problems)
    return config


def _beyond_fields(config: Config, document: Document) -> Iterator[tuple[Place, Problem]]:
    """What no single field shows: schedules that cannot fit the run, a hyperparameter scheduled twice."""
    for path in _flags_for_numbers(document.data, config, ()):
        yield problem_at(path, document, "expected a number, but got true or false", "write for example 1")
    for path, target in _targets(config):
        if not all(target.rpartition(":")):
            what = f"{target!r} is not a target"
            yield problem_at((*path, "use"), document, what, "write 'file.py:Name' or 'package.module:Name'")
    key = config.optimizer.momentum_key
    if key in config.schedules and _cycles_momentum(config):
        path = ("schedules", str(key))
        yield problem_at(path, document, "the schedule's own momentum cycle drives this already", "remove one of them")
    if config.train.duration.unit == "steps":
        steps = config.train.duration.steps()
        yield from _unfit(("schedule",), config.schedule, config.optimizer.lr, steps, document)
        for name, schedule in config.schedules.items():
            peak = config.optimizer.hyperparameters()[name]
            yield from _unfit(("schedules", name), schedule, peak, steps, document)


def _targets(config: Config) -> Iterator[tuple[Path_, str]]:
    """Where the config names code of the user's own."""
    parts: list[tuple[Path_, Any]] = [(("model",), config.model), (("data",), config.data), (("loss",), config.loss)]
    parts += [(("metrics", number), metric) for number, metric in enumerate(config.metrics or ())]
    yield from ((path, part.use) for path, part in parts if hasattr(part, "use"))


def _flags_for_numbers(data: Any, made: Any, path: Path_) -> Iterator[Path_]:
    """Where true or false was taken for 1 or 0."""
    if isinstance(data, bool) and isinstance(made, int | float) and not isinstance(made, bool):
        yield path
    elif isinstance(data, dict):
        for key, value in data.items():
            below = made.get(key) if isinstance(made, Mapping) else getattr(made, str(key), None)
            yield from _flags_for_numbers(value, below, (*path, key))
    elif isinstance(data, list):
        items = made if isinstance(made, tuple | list) else getattr(made, "segments", ())
        for number, (value, item) in enumerate(zip(data, items, strict=False)):
            yield from _flags_for_numbers(value, item, (*path, number))


def _cycles_momentum(config: Config) -> bool:
    """Whether the schedule moves momentum by itself; the length does not matter, so a long one stands for any."""
    try:
        return config.schedule.bind_momentum(config.optimizer.lr, 10**6, 10**3) is not None
    except ScheduleError:
        return False


def _unfit(
    path: Path_, schedule: schedules.Schedule, peak: float, steps: int, document: Document
) -> Iterator[tuple[Place, Problem]]:
    """A schedule that a run of known length cannot hold. Epochs are unknown until the data is read."""
    try:
        schedule.bind(peak, steps)
    except ScheduleError as error:
        if "epochs" in error.what and "unknown" in error.what:
            return
        below = str(error.where).split(".") if error.where else []
        where = (*path, *(int(part) if part.isdecimal() else part for part in below))
        yield problem_at(where, document, error.what, error.remedy or "")


def _preset(name: str) -> Document:
    text = resources.files("lrtool.config").joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")
    return parse_document(text, f"lrtool's {name} config")


def _inherited(path: Path, chain: tuple[Path, ...]) -> Document:
    """A file with what its `extends` bases say beneath it."""
    here = path.resolve()
    document = read_document(path)
    absolute(document.data, here.parent)
    if "extends" not in document.data:
        return document
    target = _base(document, here, chain)
    below = _inherited(_from_here(target), (*chain, here))
    return Document(_merged(below, (), below.data, document.data), {**below.places, **document.places})


def _base(document: Document, here: Path, chain: tuple[Path, ...]) -> Path:
    """The file that a config extends."""
    base, place = document.data["extends"], str(document.place(("extends",)))
    if not isinstance(base, str):
        raise ConfigError.one(place, "extends", f"expected a path, but got {shown(base)}", "write extends: base.yaml")
    target = (here.parent / Path(base).expanduser()).resolve()
    if target in (*chain, here):
        raise ConfigError.one(place, "extends", f"{base} inherits from this file in turn", "break the circle")
    if not target.is_file():
        raise ConfigError.one(place, "extends", f"there is no file {target}", "paths start from this config's folder")
    return target


def _from_here(path: Path) -> Path:
    """The path as a user would write it from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _merged(below: Document, path: Path_, under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merge key by key, unless they name different kinds; anything else replaces."""
    merged = dict(under)
    for key, value in over.items():
        known = merged.get(key)
        if isinstance(known, str) and isinstance(value, dict):
            known = {"kind": known}
        if isinstance(value, dict) and isinstance(known, dict) and not _other_kind(known, value):
            merged[key] = _merged(below, (*path, key), known, value)
        else:
            merged[key] = value
            below.forget((*path, key))
    return merged


def _other_kind(under: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    return any(key in over and over[key] != under.get(key) for key in ("kind", "use"))
