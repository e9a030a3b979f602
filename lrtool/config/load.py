"""From a file, its bases and the command line's overrides to a checked config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lrtool.config.checks import beyond_fields
from lrtool.config.document import Document, Path_, Place, parse_document, read_document
from lrtool.config.messages import config_error, in_order, shown
from lrtool.config.override import absolute, override
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.schema import Config
from lrtool.errors import closest
from lrtool.reading import at_home, exists

__all__ = ["config_error", "load_config", "overridden", "validate", "with_bases"]


def load_config(
    path: Path | None, overrides: Sequence[str] = (), seed: int | None = None, *, code_beside: bool = True
) -> Config:
    """The config of a file (None: the embedded default), with `KEY=VALUE` overrides applied in order.

    `code_beside`: whether code in the file's folder may run. Raises ConfigError with every problem and its place.
    """
    document = _inherited(path, ()) if path is not None else _preset("default")
    if path is not None and "base" in document.data and "model" not in document.data:
        raise _is_sweep(path, document)
    folder = path.resolve().parent if path is not None else Path.cwd()
    refused = overridden(document, overrides, folder)
    if seed is not None:
        document.data["seed"] = seed
        document.places[("seed",)] = Place("--seed")
    try:
        config = validate(document)
    except ConfigError as error:
        raise ConfigError([*error.problems, *refused]) from None
    if refused:
        raise ConfigError(refused)
    return config.beside(folder, code_beside).lr_said(_lr_source(document, config))


def _lr_source(document: Document, config: Config) -> str:
    """Where the peak LR was written: the config, a base that it extends, `--set`, or nowhere."""
    place = document.places.get(("optimizer", "lr"))
    if place is None:
        return f"the default of {config.optimizer.kind}"
    return str(place) if place.source.startswith(("--", "lrtool's")) else f"config {place}"


def validate(document: Document) -> Config:
    """The config a document holds; raises ConfigError with every problem and its place."""
    data = {key: value for key, value in document.data.items() if key != "extends"}
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise config_error(error, document) from None
    problems = in_order(beyond_fields(config, document))
    if problems:
        raise ConfigError(problems)
    return config


def overridden(document: Document, overrides: Sequence[str], folder: Path) -> list[Problem]:
    """Apply overrides in order; gives the problems of those that cannot be applied."""
    problems: list[Problem] = []
    for text in overrides:
        try:
            override(document, text, folder)
        except ConfigError as error:
            problems += error.problems
    return problems


def _is_sweep(path: Path, document: Document) -> ConfigError:
    """What to say of a sweep that is given where a config belongs."""
    run = (path.parent / "sweep.sqlite").exists()
    what = "this is the run of a sweep" if run else "this is a sweep: many configs, made of a base"
    remedy = f"write: lrtool sweep --resume {path.parent}" if run else f"write: lrtool sweep {path}"
    base = document.data["base"]
    if isinstance(base, str) and not run:
        remedy += f", or for its base alone: {path.parent / base}"
    return ConfigError.one(str(document.place(("base",)) or path), "base", what, remedy)


def _preset(name: str) -> Document:
    text = resources.files("lrtool.config").joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")
    return parse_document(text, f"lrtool's {name} config")


def _inherited(path: Path, chain: tuple[Path, ...]) -> Document:
    """A file with what its `extends` bases say beneath it."""
    return with_bases(read_document(path), path.resolve(), chain)


def with_bases(document: Document, here: Path, chain: tuple[Path, ...] = ()) -> Document:
    """A document that stands in the file `here`, with what its `extends` bases say beneath it.

    Raises ConfigError where a base cannot be read.
    """
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
    target = _resolved(here.parent / at_home(base))
    if target in (*chain, here):
        raise ConfigError.one(place, "extends", f"{base} inherits from this file in turn", "break the circle")
    if not exists(target):
        near = closest(target.name, _configs_in(target.parent))
        remedy = f"did you mean {near!r}?" if near else "paths start from this config's folder"
        raise ConfigError.one(place, "extends", f"there is no file {target}", remedy)
    return target


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError):  # too long, a NUL, links in a circle: `exists` says that there is none
        return path


def _configs_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.glob("*.y*ml")]
    except (OSError, ValueError):
        return []


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
