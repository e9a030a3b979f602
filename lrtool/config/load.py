"""From a file, its bases and the command line's overrides to a checked config."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lrtool import optimizers, schedules
from lrtool.config.document import Document, Path_, Place, parse_document, parse_value, read_document
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.schema import Config
from lrtool.errors import ScheduleError
from lrtool.registry import Registry
from lrtool.tasks import datasets, losses, metrics, models

_REGISTRIES: Mapping[str, Registry[Any]] = {
    "model": models.KINDS,
    "data": datasets.KINDS,
    "loss": losses.KINDS,
    "metrics": metrics.KINDS,
    "optimizer": optimizers.KINDS,
    "schedule": schedules.KINDS,
    "schedules": schedules.KINDS,
}


def load_config(path: Path | None, overrides: Sequence[str] = (), seed: int | None = None) -> Config:
    """The config of a file (None: the embedded default), with `KEY=VALUE` overrides applied in order.

    Raises ConfigError with every problem and its place.
    """
    document = _inherited(path, ()) if path is not None else _preset("default")
    folder = path.resolve().parent if path is not None else Path.cwd()
    for override in overrides:
        _override(document, override, folder)
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
    problems = _beyond_fields(config, document)
    if problems:
        raise ConfigError(problems)
    return config


def config_error(error: ValidationError, document: Document) -> ConfigError:
    """What pydantic found in a document (or a part that stands under its key), in plain words with places."""
    found = [_problem(details, document) for details in error.errors(include_url=False)]
    return ConfigError([each for _, each in sorted(set(found), key=lambda pair: pair[0])])


def _beyond_fields(config: Config, document: Document) -> list[Problem]:
    """What no single field shows: schedules that cannot fit the run, a hyperparameter scheduled twice."""
    problems = []
    key = config.optimizer.momentum_key
    if key in config.schedules and _cycles_momentum(config):
        problems.append(
            Problem(
                str(document.place(("schedules", str(key)))), f"schedules.{key}",
                "the schedule's own momentum cycle drives this already", "remove one of the two",
            )
        )  # fmt: skip
    if config.train.duration.unit == "steps":
        for path, schedule in [(("schedule",), config.schedule)] + [
            (("schedules", name), each) for name, each in config.schedules.items()
        ]:
            problems += _unfit(path, schedule, config, document)
    return problems


def _cycles_momentum(config: Config) -> bool:
    """Whether the schedule moves momentum by itself; the length does not matter, so a long one stands for any."""
    try:
        return config.schedule.bind_momentum(config.optimizer.lr, 10**6, 10**3) is not None
    except ScheduleError:
        return False


def _unfit(path: Path_, schedule: schedules.Schedule, config: Config, document: Document) -> list[Problem]:
    """A schedule that a run of known length cannot hold. Epochs are unknown until the data is read."""
    try:
        schedule.bind(config.optimizer.lr, config.train.duration.steps())
    except ScheduleError as error:
        if "epochs" in error.what and "unknown" in error.what:
            return []
        where = (*path, *(str(error.where or "").split(".") if error.where else ()))
        return [Problem(str(document.place(where)), _dotted(where), error.what, error.remedy or "")]
    return []


def _preset(name: str) -> Document:
    text = resources.files("lrtool.config").joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")
    return parse_document(text, f"lrtool's {name} config")


def _inherited(path: Path, chain: tuple[Path, ...]) -> Document:
    """A file with what its `extends` bases say beneath it."""
    here = path.resolve()
    document = read_document(path)
    _absolute(document.data, here.parent)
    base = document.data.get("extends")
    if base is None:
        return document
    place = str(document.place(("extends",)))
    if not isinstance(base, str):
        raise ConfigError.one(place, "extends", f"a path is text, but got {base!r}", "write extends: base.yaml")
    if (target := (here.parent / base).resolve()) in (*chain, here):
        raise ConfigError.one(place, "extends", f"{base} inherits from this file in turn", "break the circle")
    if not target.is_file():
        raise ConfigError.one(place, "extends", f"there is no file {target}", "paths start from this config's folder")
    below = _inherited(_shown(target), (*chain, here))
    merged = _merged(below.data, document.data)
    return Document(merged, {**below.places, **document.places})


def _shown(path: Path) -> Path:
    """The path as a user would write it from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merge key by key, unless they name different kinds; anything else replaces."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict) and not _other_kind(under, value):
            merged[key] = _merged(under, value)
        else:
            merged[key] = value
    return merged


def _other_kind(under: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    return any(key in over and over[key] != under.get(key) for key in ("kind", "use"))


def _absolute(data: Any, folder: Path) -> None:
    """Paths of files start from the folder of the config that names them."""
    if isinstance(data, list):
        for item in data:
            _absolute(item, folder)
    elif isinstance(data, dict):
        for key, value in data.items():
            if key == "args":
                continue
            if key == "path" and isinstance(value, str):
                data[key] = str(folder / Path(value).expanduser())
            elif key == "use" and isinstance(value, str) and re.search(r"\.py:[^/\\]*$", value):
                code, _, name = value.rpartition(":")
                data[key] = f"{folder / Path(code).expanduser()}:{name}"
            else:
                _absolute(value, folder)


def _override(document: Document, text: str, folder: Path) -> None:
    """Apply one `KEY=VALUE`."""
    key, equals, written = text.partition("=")
    source = f"--set {text}"
    if not equals or not key.strip():
        raise ConfigError.one(source, "", "an override is KEY=VALUE", "write for example --set optimizer.lr=0.05")
    path: list[str | int] = [int(part) if part.isdecimal() else part for part in key.strip().split(".")]
    value = parse_value(written, source)
    holder = {path[-1]: value}
    _absolute(holder, folder)
    target: Any = document.data
    for depth, part in enumerate(path[:-1]):
        target = _entered(target, part, tuple(path[:depth]), source)
    _put(target, path[-1], holder[path[-1]], tuple(path), source)
    document.places[tuple(path)] = Place(source)


def _entered(target: Any, part: str | int, above: Path_, source: str) -> Any:
    """The mapping or list below a key, made where a shorthand or nothing stands."""
    if isinstance(target, list):
        if isinstance(part, int) and part < len(target):
            return target[part]
        raise ConfigError.one(source, _dotted(above), f"this is a list of {len(target)}", "number its items from 0")
    below = target.get(part)
    if below is None:
        below = {}
    elif isinstance(below, str):
        below = {"kind": below}
    elif not isinstance(below, dict | list):
        raise ConfigError.one(source, _dotted((*above, part)), f"this is {below!r}, not a mapping", "set it as a whole")
    target[part] = below
    return below


def _put(target: Any, part: str | int, value: Any, path: Path_, source: str) -> None:
    if isinstance(target, list):
        if not (isinstance(part, int) and part < len(target)):
            what = f"this is a list of {len(target)}"
            raise ConfigError.one(source, _dotted(path[:-1]), what, "number its items from 0")
        target[part] = value
    elif part == "kind" and isinstance(target.get("kind"), str) and target["kind"] != value:
        # Another kind has other fields; those it shares (data.batch_size, optimizer.lr) stay.
        shared = _fields_of(path[:-1], value)
        for name in [name for name in target if name not in shared]:
            del target[name]
        target["kind"] = value
    else:
        target[part] = value


def _fields_of(path: Path_, kind: object) -> set[str]:
    registry = _REGISTRIES.get(str(path[0])) if path else None
    found = registry.kinds.get(str(kind)) if registry is not None else None
    return set(found.model_fields) if found is not None else set()


def _problem(details: ErrorDetails, document: Document) -> tuple[tuple[str, int, int], Problem]:
    """One of pydantic's findings, in plain words, with its place and what it is sorted by."""
    path = _written_path(details["loc"], document.data)
    if details["type"] == "union_tag_invalid" and (*path, "kind") in document.places:
        path = (*path, "kind")
    place = document.place(path) or Place("config")
    what, remedy = _words(details, path, document)
    return (place.source, place.line, place.column), Problem(str(place), _dotted(path), what, remedy)


def _written_path(loc: tuple[int | str, ...], data: Any) -> Path_:
    """A location without the kind tags and function names that pydantic puts between keys."""
    path: list[str | int] = []
    here: Any = data
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if isinstance(here, dict) and (part in here or last):
            if part not in here and _is_tag(part, here):
                continue
            path.append(part)
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int):
            path.append(part)
            here = here[part] if part < len(here) else None
    return tuple(path)


def _is_tag(part: str | int, here: Mapping[str, Any]) -> bool:
    return part == here.get("kind") or str(part).startswith("function-") or (part == "use" and "use" in here)


def _words(details: ErrorDetails, path: Path_, document: Document) -> tuple[str, str]:
    kind, got, context = details["type"], details.get("input"), details.get("ctx", {})
    match kind:
        case "missing":
            return "this key is missing", f"write {path[-1]}: …"
        case "extra_forbidden":
            return "there is no such key", _did_you_mean(str(path[-1]), _keys_at(path[:-1], document.data))
        case "union_tag_invalid" | "union_tag_not_found":
            return _bad_kind(path, got)
        case "value_error":
            what, _, remedy = str(context.get("error", details["msg"])).partition("; ")
            return what, remedy
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"expected a mapping, but got {got!r}", "write it as {key: value}"
        case "tuple_type" | "list_type":
            return f"expected a list, but got {got!r}", "write it as [a, b]"
        case "literal_error":
            options = str(context.get("expected", "")).replace("'", "")
            return f"got {got!r}", f"choose one of: {options.replace(' or ', ', ')}"
    rule = details["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"expected {rule[0].lower()}{rule[1:]}, but got {got!r}", _example(path)


def _bad_kind(path: Path_, got: Any) -> tuple[str, str]:
    section = str(path[0]) if path else ""
    registry = _REGISTRIES.get(section)
    names = list(registry.kinds) if registry is not None else []
    if isinstance(got, dict) and "kind" not in got:
        return "it has no kind", f"write kind: and one of: {', '.join(names)}"
    said = got.get("kind") if isinstance(got, dict) else got
    noun = registry.noun if registry is not None else section
    return f"there is no {noun} {said!r}", _did_you_mean(str(said), names)


def _did_you_mean(word: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"choose one of: {', '.join(names)}" if names else ""


def _keys_at(path: Path_, data: Any) -> list[str]:
    """The keys that may stand in the section at a path."""
    model: type[BaseModel] | None = Config
    if path:
        section = _REGISTRIES.get(str(path[0]))
        here: Any = data
        for part in path:
            here = here[int(part)] if isinstance(here, list) else here.get(part, {})
        if section is not None and isinstance(here, dict):
            kind = here.get("kind", "use" if "use" in here else None)
            model = section.kinds.get(str(kind))
        else:
            annotation = Config.model_fields[str(path[0])].annotation if path[0] in Config.model_fields else None
            model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return [*model.model_fields, *(["extends"] if not path else [])] if model is not None else []


def _example(path: Path_) -> str:
    examples = {"lr": "write for example 0.1", "batch_size": "write for example 64", "steps": "write for example 100"}
    return examples.get(str(path[-1]) if path else "", "")


def _dotted(path: Path_) -> str:
    return ".".join(str(part) for part in path)
