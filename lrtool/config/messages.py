"""What pydantic finds in a config, in plain words, each with its place and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lrtool import units
from lrtool.config.document import Document, Path_, Place
from lrtool.config.fields import child, classes_at, field_at, keys_of, kind_of, registry_of, value_at
from lrtool.config.meant.kinds import kind_meant
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.schema import Config
from lrtool.errors import closest

_EXAMPLES = {
    "lr": "write for example 0.1",
    "milestones": "write for example [30%, 60%]",
    "use": "write 'file.py:Name'",
}
#: Problems after which no more are looked for: nobody reads them all, and finding each takes its time.
_MOST_PROBLEMS = 100
#: What other libraries call a key, and what it is called here.
_SYNONYMS = {
    "learning_rate": "lr",
    "max_lr": "lr",
    "epochs": "duration",
    "max_epochs": "duration",
    "max_steps": "duration",
    "warmup_steps": "warmup",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "dataset": "data",
    "network": "model",
    "criterion": "loss",
    "grad_clip": "clip_norm",
    "max_grad_norm": "clip_norm",
    "gradient_clip_val": "clip_norm",
    "accumulate_grad_batches": "accumulate",
    "gradient_accumulation_steps": "accumulate",
    "min_lr": "final",
    "eta_min": "final",
}
#: What other libraries call a kind, and a target.
_KINDS = {"type": "kind", "name": "kind", "class": "kind", "class_name": "kind", "_target_": "use"}
#: Pydantic's error types that say which kind of value a field takes.
_TYPES = {
    "int": ("an integer", "100"),
    "float": ("a number", "0.1"),
    "finite": ("a finite number", "0.1"),
    "bool": ("true or false", "true"),
    "string": ("text", "'text'"),
}
_BOUNDS = {
    "greater_than": "greater than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
}


def config_error(error: ValidationError, document: Document) -> ConfigError:
    """What pydantic found in a document (or a part that stands under its key), in plain words with places."""
    if isinstance(several := document.data.get("schedules"), Mapping) and "kind" in several:
        what = "this holds a schedule for each hyperparameter, by its name, but got one schedule"
        return ConfigError([problem_at(("schedules",), document, what, "did you mean 'schedule'?")[1]])
    details = error.errors(include_url=False)
    paths = [_written_path(each["loc"], document.data) for each in details]
    found = set[tuple[Place, Problem]]()
    misspelt = _misspelt(details, paths, document.data)
    for each, path in zip(details, paths, strict=True):
        if each["type"] == "missing" and path in misspelt:
            continue
        if len(found) >= _MOST_PROBLEMS:
            break
        if each["type"] == "unschedulable":
            found |= set(islice(_unschedulable(each.get("ctx", {}), path, document), _MOST_PROBLEMS))
            continue
        # A list whose items are wrong counts as empty for pydantic: the items are what is to be said.
        if not (each["type"] == "too_short" and any(other[: len(path)] == path != other for other in paths)):
            found.add(_problem(each, path, document))
    return ConfigError(in_order(found))


def in_order(found: Iterable[tuple[Place, Problem]]) -> list[Problem]:
    """Problems sorted by place."""
    ordered = sorted(found, key=lambda pair: (pair[0].source, pair[0].line, pair[0].column, pair[1].key))
    return [problem for _, problem in ordered]


def problem_at(path: Path_, document: Document, what: str, remedy: str = "") -> tuple[Place, Problem]:
    """A problem with the place of what stands at a path of the document."""
    place = document.place(path) or Place("config")
    return place, Problem(str(place), dotted(path), what, remedy)


def dotted(path: Path_) -> str:
    """A path as a user writes it after `--set`."""
    return ".".join(str(part) for part in path)


def _written_path(loc: Sequence[int | str], data: Any) -> Path_:
    """A location without the kinds' tags that pydantic puts between keys, and what short forms leave out."""
    path: list[str | int] = []
    here, entered = data, False
    for part in loc:
        if entered and part == kind_of(here):
            entered = False
        elif not isinstance(here, list) or isinstance(part, int):
            path.append(part)
            here, entered = child(here, part), True
    return tuple(path)


def _misspelt(details: Sequence[ErrorDetails], paths: Sequence[Path_], data: Any) -> set[Path_]:
    """Keys that are missing as they stand there under another spelling, which is what is to be said."""
    missing: dict[Path_, set[str]] = {}
    for each, path in zip(details, paths, strict=True):
        if each["type"] == "missing":
            missing.setdefault(path[:-1], set()).add(str(path[-1]))
    found: set[Path_] = set()
    for each, path in islice(zip(details, paths, strict=True), 10 * _MOST_PROBLEMS):
        if each["type"] == "extra_forbidden" and path[:-1] in missing:
            meant = closest(str(path[-1]), missing[path[:-1]])
            if meant is not None:
                found.add((*path[:-1], meant))
    return found


def _problem(details: ErrorDetails, path: Path_, document: Document) -> tuple[Place, Problem]:
    got = details.get("input")
    if details["type"] == "union_tag_not_found" and isinstance(got, Mapping):
        for key in got:
            meant = _KINDS.get(str(key)) or closest(str(key), ["kind", "use"], cutoff=0.7)
            if meant is not None and key != meant:
                return problem_at((*path, key), document, "there is no such key", f"did you mean {meant!r}?")
    what, remedy = _words(details, path, document.data)
    if details["type"] == "union_tag_invalid":
        # Where the kind itself was written, in either way.
        path = next((at for name in ("kind", "use") if (at := (*path, name)) in document.places), path)
    path = (*path, *details.get("ctx", {}).get("below", ()))
    if details["type"] == "extra_forbidden" and path in document.keys:
        return document.keys[path], Problem(str(document.keys[path]), dotted(path), what, remedy)
    return problem_at(path, document, what, remedy)


def _words(details: ErrorDetails, path: Path_, data: Any) -> tuple[str, str]:
    """What is wrong, and what to write instead."""
    kind, got, context = details["type"], details.get("input"), details.get("ctx", {})
    match kind:
        case "missing":
            return "this key is missing", f"write {path[-1]}: {_meaning(path, data)}"
        case "extra_forbidden":
            return "there is no such key", _other_key(path, data)
        case "union_tag_invalid" | "union_tag_not_found":
            return _bad_kind(path, got, context, data)
        case "value_error" | "range":
            what, _, remedy = str(context.get("error") or context.get("said") or details["msg"]).partition("; ")
            return what, remedy
        case "literal_error":
            options = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
            return f"got {shown(got)}", _did_you_mean(str(got), options.split(", "), always=True)
        case "too_short":
            least = context["min_length"]
            return f"needs at least {least} item{'s' * (least > 1)}, but got {context['actual_length']}", ""
        case "string_too_short":
            return "this may not be empty", _example(path, data)
    return _wrong_type(kind, got, context, path, data)


def _wrong_type(kind: str, got: Any, context: Mapping[str, Any], path: Path_, data: Any) -> tuple[str, str]:
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"expected a mapping, but got {shown(got)}", f"write it as {{key: value}}{_or_beside(path, data)}"
    if kind in ("tuple_type", "list_type"):
        return (
            f"expected a list, but got {shown(got)}",
            f"write it as [{got if isinstance(got, str | int | float) else '…'}]",
        )
    if kind in _BOUNDS:
        return f"must be {_BOUNDS[kind].format(**context)}, but got {shown(got)}", _example(path, data)
    expected, example = _TYPES.get(kind.partition("_")[0], ("", ""))
    if kind == "string_type" and isinstance(got, int | float) and not isinstance(got, bool):
        return f"expected text, but got the number {got}", f"put it in quotes: '{got}'"
    if expected:
        return f"expected {expected}, but got {shown(got)}", _example(path, data) or f"write for example {example}"
    return f"this cannot be used, but got {shown(got)}", _example(path, data)


def shown(value: Any) -> str:
    """A value as YAML shows it, cut where it is long."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    return units.shown(value)


def _bad_kind(path: Path_, got: Any, context: Mapping[str, Any], data: Any) -> tuple[str, str]:
    registry = registry_of(classes_at(path, data)[1])
    # A sweep's own sections belong to no config: pydantic names their kinds.
    tags = str(context.get("expected_tags", "")).replace("'", "")
    names = list(registry.kinds) if registry is not None else tags.split(", ") if tags else []
    noun = registry.noun if registry is not None else str(path[-1] if path else "kind")
    said = kind_of(got)
    meant = kind_meant(str(path[-1] if path else ""), registry, got, said) if registry is not None else None
    if isinstance(got, Mapping) and said is None:
        return "it has no kind", meant or f"write kind: and one of: {', '.join(names)}"
    if not isinstance(said, str):
        return f"expected a name or a mapping with a kind, but got {shown(said)}", _did_you_mean(
            "", names
        ) if names else ""
    return f"there is no {noun} {said!r}", meant or _did_you_mean(said, names)


def _other_key(path: Path_, data: Any) -> str:
    """What may stand where an unknown key does."""
    above = path[:-1]
    if (
        path[-1] in ("use", "kind")
        and isinstance(here := value_at(data, above), Mapping)
        and {"use", "kind"} <= here.keys()
    ):
        return "give kind: or use:, not both"
    model, _ = classes_at(above, data)
    names = [*model.model_fields, *([] if above else ["extends"])] if model is not None else []
    key = str(path[-1])
    called = _SYNONYMS.get(_plain(key), key)
    if called != key and called in names:
        return f"did you mean {called!r}?"
    if closest(key, names, cutoff=0.8) is None:
        # A run's own length comes before a schedule's.
        order = ["train", *Config.model_fields]
        sections = [name for name in order if name not in above and called in keys_of(name, data)]
        if sections:
            return f"did you mean {sections[0]}.{called}? write it below {sections[0]}:"
    return _did_you_mean(key, names)


def _or_beside(path: Path_, data: Any) -> str:
    """The key beside this one that may have been meant, as `schedule` where `schedules` is written."""
    model, _ = classes_at(path[:-1], data)
    key, names = str(path[-1]) if path else "", model.model_fields if model is not None else ()
    meant = closest(key, [name for name in names if name != key], cutoff=0.9)
    return f"; or did you mean {meant!r}?" if meant is not None else ""


def _did_you_mean(word: str, names: Sequence[str], always: bool = False) -> str:
    near = closest(word, names)
    listed = f"choose one of: {', '.join(names)}" if names else ""
    if near:
        return f"did you mean {near!r}?" + (f" {listed}" if always else "")
    return listed


def _plain(word: str) -> str:
    """A word in the way of keys and kinds: `One-Cycle` as `one_cycle`."""
    return word.lower().replace("-", "_").replace(" ", "_")


def _unschedulable(context: Mapping[str, Any], path: Path_, document: Document) -> Iterable[tuple[Place, Problem]]:
    """Hyperparameters that the optimizer cannot have scheduled, each at its own key."""
    kind, known, unknown = context["kind"], context["known"], context["unknown"]
    for name in unknown:
        what = f"{kind} has no hyperparameter {name!r} to schedule"
        near = closest(name, known)
        remedy = f"did you mean {near!r}?" if near else f"it has: {', '.join(known)}"
        yield problem_at((*path, name), document, what, remedy)
    for name in context["zero"]:
        what = f"a schedule scales optimizer.{name}, which is 0"
        yield problem_at((*path, name), document, what, f"write optimizer.{name} above 0")


def _meaning(path: Path_, data: Any) -> str:
    field = field_at(path, data)
    return f"… ({field.description.removesuffix('.')})" if field is not None and field.description else "…"


def _example(path: Path_, data: Any) -> str:
    """What to write: the field's default, or a value that is often right."""
    field = field_at(path, data)
    if field is not None and not field.is_required() and not isinstance(path[-1], int):
        default = field.get_default(call_default_factory=False)
        if default is None:
            return "or leave the key out"
        if isinstance(default, str | int | float):
            return f"write for example {shown(default)} (the default)"
    return _EXAMPLES.get(str(path[-1]) if path else "", "")
