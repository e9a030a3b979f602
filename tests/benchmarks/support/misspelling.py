"""Every key of a config misspelt in turn, in the ways in which fingers slip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from lrtool.config.document import parse_node, read_document
from lrtool.config.load import load_config
from lrtool.config.problems import ConfigError
from lrtool.config.schema import Config
from lrtool.config.sweep.load import is_sweep, load_sweep


@dataclass(frozen=True)
class Slip:
    """A config's text with one key (or the last part of a dotted one) misspelt: where, and what it was."""

    text: str
    key: str
    written: str
    line: int
    column: int


def slips(word: str) -> list[str]:
    """A word with a letter left out, doubled, swapped with the next, and replaced; with a dash; in capitals."""
    middle = len(word) // 2
    made = [
        word[:middle] + word[middle + 1 :],
        word[:middle] + word[middle] + word[middle:],
        word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :],
        word[:middle] + ("x" if word[middle] != "x" else "q") + word[middle + 1 :],
        word + "s",
        word.upper(),
    ]
    return [each for each in dict.fromkeys(made) if each and each != word]


def misspelt(text: str) -> Iterator[Slip]:
    """Every key of a config or a sweep, but names of the user's own, misspelt in every way."""
    node = parse_node(text, "config")
    assert isinstance(node, yaml.MappingNode)
    lines = text.splitlines(keepends=True)
    for key in _keys(node, ()):
        head, dot, last = key.value.rpartition(".")
        line, column = key.start_mark.line, key.start_mark.column
        for wrong in slips(last):
            row = lines[line]
            changed = row[:column] + head + dot + wrong + row[column + len(key.value) :]
            yield Slip("".join([*lines[:line], changed, *lines[line + 1 :]]), last, wrong, line + 1, column + 1)


def _keys(node: yaml.Node, path: tuple[str, ...]) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _keys(item, (*path, ""))
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        assert isinstance(key, yaml.ScalarNode)
        # Variants have names, and arguments are the user's own.
        if path != ("variants",) and "args" not in path:
            yield key
        yield from _keys(value, (*path, key.value))


@dataclass(frozen=True)
class Said:
    """What was said of a slip: whether it was refused, in the right place, with the right word."""

    refused: bool
    placed: bool
    suggested: bool
    message: str


def said_of(slip: Slip, path: Path) -> Said:
    """Check a slip, written in place of the file `path`."""
    path.write_text(slip.text)
    try:
        if is_sweep(read_document(path).data):
            load_sweep(path).trials()
        else:
            load_config(path)
    except ConfigError as error:
        place = f"{path}:{slip.line}:{slip.column}"
        # A slip that is a key itself is none there; what it was given is wrong, and has that place.
        places = (place, f"{path}:{slip.line}:") if slip.written in Config.model_fields else (f"{place} ",)
        here = [problem for problem in error.problems if f"{problem.place} ".startswith(places)]
        # Quotes around the key may or may not belong to its place.
        suggested = any(f"{slip.key}'" in problem.remedy or f"{slip.key}?" in problem.remedy for problem in here)
        return Said(True, bool(here), suggested, str(error))
    return Said(False, False, False, "accepted")


def written_beside(path: Path, folder: Path) -> Path:
    """A copy of the shipped folder of a config, in which files that it names are found."""
    for other in path.parent.iterdir():
        if other.is_file():
            (folder / other.name).write_bytes(other.read_bytes())
    return folder / path.name
