"""YAML with positions: every key and value knows its line and column, and YAML 1.1's traps are closed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from lrtool.config.meant.files import if_missing, sort_of_file
from lrtool.config.problems import ConfigError, Problem
from lrtool.config.yaml_text import FastLoader, Loader, write_yaml
from lrtool.errors import UsageError
from lrtool.reading import MEBI, read_file

__all__ = ["Document", "Path_", "Place", "parse_document", "parse_node", "parse_value", "read_document", "write_yaml"]

Path_ = tuple[str | int, ...]

#: Mistakes that YAML notices only further down: how its message ends, what it means where it began, the remedy.
_SYNTAX = (
    ("found unexpected end of stream", "the quote that opens here is never closed", "close it"),
    ("but got '<stream end>'", "the bracket that opens here is never closed", "close it"),
    ("could not find expected ':'", "this is no key with a value", "write key: value, with a space after the colon"),
)
_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")
#: Bytes of a file, values of it (aliases can make a short text expand without end) and brackets within brackets: no
#: config comes near.
_MOST_BYTES, _MOST_NODES, _DEEPEST = 2 * MEBI, 100_000, 100
#: Characters up to which the slower reader says what is wrong.
_SAID_WELL = 20_000
#: Problems after which no more are looked for.
_MOST_PROBLEMS = 100


@dataclass(frozen=True)
class Place:
    """Where something was written: a file (or an option such as `--set lr`), a line and a column from 1."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        # An option is one short line: where in it needs no telling.
        return f"{self.source}:{self.line}:{self.column}" if self.line and self.source[:2] != "--" else self.source


@dataclass
class Document:
    """Plain data and the place of each key and item in it, by path; `keys`: of keys whose values stand elsewhere."""

    data: dict[str, Any]
    places: dict[Path_, Place] = field(default_factory=dict)
    keys: dict[Path_, Place] = field(default_factory=dict)

    def place(self, path: Path_) -> Place | None:
        """The place of a path, or of the nearest thing around it that was written."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return None

    def forget(self, path: Path_) -> None:
        """Drop the places of a path and all below it, which something else replaces."""
        for each in [each for each in self.places if each[: len(path)] == path]:
            del self.places[each]


def read_document(path: Path) -> Document:
    """Read a config file; raises ConfigError with line and column where it cannot be read as a mapping."""
    if path.is_dir():
        raise ConfigError.one(str(path), "", *_a_folder(path))
    if (other := sort_of_file(path)) is not None:
        raise ConfigError.one(str(path), "", *other)
    try:
        data = read_file(path, _MOST_BYTES)
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if b"\0" in data:
            raise ConfigError.one(
                str(path), "", "this is no text (not UTF-8)", "give the path of a config, a YAML file"
            ) from None
        before = data[: error.start].decode("utf-8")
        place = _at(str(path), before, len(before))
        raise ConfigError.one(
            str(place), "", f"this is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from None
    except UsageError as error:
        raise ConfigError.one(str(path), "", error.what, "give the path of a config") from None
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise ConfigError.one(str(path), "", "there is no such file", if_missing(path)) from None
        what = f"cannot be read: {error.strerror}"
        raise ConfigError.one(str(path), "", what, if_missing(path)) from None
    return parse_document(text, str(path))


def _a_folder(path: Path) -> tuple[str, str]:
    """What is wrong with a folder that is given as a config, and what to write instead."""
    run = next((each for each in (path, path / "latest") if (each / "config.yaml").is_file()), None)
    if run is not None:
        return (
            "cannot be read as a config: this is the folder of a run",
            f"give its config, {run / 'config.yaml'}; --resume {path} goes on with the run itself",
        )
    files = sorted(each.name for each in path.glob("*.y*ml"))
    remedy = f"give one of its files: {', '.join(files[:5])}" if files else "write a config with: lrtool init"
    return "cannot be read as a config: this is a folder", remedy


def parse_document(text: str, source: str) -> Document:
    """Parse the text of a config; `source` names it in messages."""
    node, data = _parsed(text, source)
    if node is None:
        raise ConfigError.one(source, "", "the config is empty", "write one with: lrtool init")
    if not isinstance(node, yaml.MappingNode):
        place = str(_place(source, node))
        raise ConfigError.one(place, "", "a config is a mapping of keys to values", "start with: name: my-run")
    return Document(data, dict(_places(node, source, ())))


def parse_node(text: str, source: str) -> yaml.Node | None:
    """The syntax tree of the text of a config; None where it is empty."""
    return _parsed(text, source)[0]


def parse_value(text: str, source: str) -> Any:
    """The value of a `--set KEY=VALUE`, read as YAML."""
    return _parsed(text, source)[1]


def _parsed(text: str, source: str) -> tuple[yaml.Node | None, Any]:
    """The syntax tree and the data; raises ConfigError with every repeated or odd key."""
    loader: Any
    hidden = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if hidden is not None:
        what = f"character {hidden.start() + 1} cannot be shown (code {ord(hidden[0])})"
        place = str(_at(source, text, hidden.start()))
        raise ConfigError.one(place, "", what, "remove it, or write it as an escape in double quotes")
    try:
        loader = FastLoader(text) if _fits(text, source) else Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _check_aliases(node, source)
        wrong = list(islice(_wrong_keys(node, source, ()), _MOST_PROBLEMS))
        if wrong:
            raise ConfigError(wrong)
        return node, _unshared(loader.construct_document(node))
    except yaml.YAMLError as error:
        raise _syntax_error(error, source) from None
    except RecursionError:
        line = max(range(text.count("\n") + 1), key=lambda each: sum(map(text.split("\n")[each].count, "[{")))
        place = str(Place(source, line + 1, 1))
        raise ConfigError.one(place, "", "brackets are nested too deeply", "write it flatter") from None
    except (OverflowError, ValueError):
        # The one number that YAML itself cannot take.
        found = re.search(r"\\U[0-9a-fA-F]{8}", text)
        place = str(_at(source, text, found.start() if found else 0))
        raise ConfigError.one(place, "", "there is no such character", "write its code in eight digits") from None


def _fits(text: str, source: str) -> bool:
    """Whether it is YAML, as far as the fast reader can tell; ConfigError where it is too much of it, or too deep."""
    depth = values = 0
    try:
        for event in yaml.parse(text, Loader=FastLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            values += isinstance(event, yaml.NodeEvent)
            if depth > _DEEPEST or values > _MOST_NODES:
                mark = event.start_mark
                assert mark is not None  # every event has one
                place = str(Place(source, mark.line + 1, mark.column + 1))
                if depth > _DEEPEST:
                    raise ConfigError.one(place, "", "brackets are nested too deeply", "write it flatter")
                raise ConfigError.one(place, "", f"the config has over {_MOST_NODES:,} values", "write fewer")
    except (yaml.YAMLError, RecursionError) as error:
        # What is wrong is said better by the other reader, if that takes no time.
        mark = getattr(error, "problem_mark", None)
        # A list or mapping within a thousand others is too deep for the fast reader itself.
        if isinstance(error, RecursionError) or len(text) > _SAID_WELL:
            place = str(Place(source, mark.line + 1, mark.column + 1)) if mark else source
            problem = getattr(error, "problem", None) or "it is nested too deeply"
            raise ConfigError.one(place, "", f"this is not YAML: {problem}", "check the indentation") from None
        return False
    return True


def _at(source: str, text: str, position: int) -> Place:
    """The place of a character of a text."""
    line = text.count("\n", 0, position)
    return Place(source, line + 1, position - (text.rfind("\n", 0, position) + 1) + 1)


def _unshared(data: Any) -> Any:
    """The data with a copy of its own wherever an alias stood: changing one must not change the other."""
    if isinstance(data, dict):
        return {key: _unshared(value) for key, value in data.items()}
    return [_unshared(item) for item in data] if isinstance(data, list) else data


def _places(node: yaml.Node, source: str, path: Path_) -> Iterator[tuple[Path_, Place]]:
    """The place of everything below a node: a key's for mappings, the item's own for lists."""
    if not path:
        yield (), _place(source, node)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                here = (*path, str(key.value))
                yield here, _place(source, key)
                yield from _places(value, source, here)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield (*path, number), _place(source, item)
            yield from _places(item, source, (*path, number))


def _check_aliases(node: yaml.Node, source: str) -> None:
    """Refuse aliases that contain themselves or expand beyond any config's size."""
    left = _MOST_NODES

    def walk(node: yaml.Node, around: tuple[yaml.Node, ...]) -> None:
        nonlocal left
        left -= 1
        if node in around or left < 0:
            what = "this alias contains itself" if left >= 0 else f"the config expands to over {_MOST_NODES} values"
            raise ConfigError.one(str(_place(source, node)), "", what, "write the values out")
        if isinstance(node, yaml.CollectionNode):
            for child in node.value:
                for each in child if isinstance(child, tuple) else (child,):
                    walk(each, (*around, node))

    walk(node, ())


def _wrong_keys(node: yaml.Node, source: str, path: Path_) -> Iterator[Problem]:
    """Keys that are given twice, and keys that are not text."""
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _wrong_keys(item, source, (*path, number))
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, yaml.Node] = {}
        for key, value in node.value:
            place = str(_place(source, key))
            # What stands in `args` is the user's own: a mapping there may have numbers for keys.
            if not isinstance(key, yaml.ScalarNode) or (key.tag not in _KEYS and "args" not in path[:-1]):
                said = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                yield Problem(place, _dotted(path), f"a key is text, but got {said}", "quote it, or name a key")
                continue
            name = str(key.value)
            if name in first and name != "<<":
                line = first[name].start_mark.line + 1
                yield Problem(
                    place, _dotted((*path, name)), "this key is given twice",
                    f"keep one of them (the first is on line {line})",
                )  # fmt: skip
            first.setdefault(name, key)
            yield from _wrong_keys(value, source, (*path, name))


def _syntax_error(error: yaml.YAMLError, source: str) -> ConfigError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = str(Place(source, mark.line + 1, mark.column + 1)) if mark else source
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "\\t" in problem or "'\t'" in problem:
        return ConfigError.one(place, "", "a tab stands where YAML needs spaces", "indent with spaces")
    if "tag" in problem:
        tag = problem.rpartition("the tag ")[2].replace("tag:yaml.org,2002:", "!!")
        return ConfigError.one(place, "", f"tags are not allowed in a config, but got {tag}", "write a plain value")
    opened = getattr(error, "context_mark", None)
    if opened is not None:
        for ending, what, remedy in _SYNTAX:
            if problem.endswith(ending):
                return ConfigError.one(str(Place(source, opened.line + 1, opened.column + 1)), "", what, remedy)
    if problem == "mapping values are not allowed here":
        return ConfigError.one(
            place, "", "a colon stands where YAML takes no key",
            "check the indentation here and above; put text with a colon in quotes",
        )  # fmt: skip
    return ConfigError.one(place, "", f"this is not YAML: {problem}", "check the brackets, colons and indentation")


def _place(source: str, node: yaml.Node) -> Place:
    return Place(source, node.start_mark.line + 1, node.start_mark.column + 1)


def _dotted(path: Path_) -> str:
    return ".".join(str(part) for part in path)
