"""Where in the text of a config each value stands, so that it can be replaced and all else stays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from lrtool.config.document import Path_


@dataclass(frozen=True)
class Span:
    """A value in the text of a config, from `start` to `end`.

    `block`: it is a mapping or list in lines of its own, which begin in the column `indent`; `after`: where what it
    belongs to ends, a key or a dash. `scalars`: where its words and numbers are, which no comment is.
    """

    start: int
    end: int
    block: bool
    indent: int
    after: int
    scalars: Sequence[tuple[int, int]]

    def replaced(self, text: str, value: str) -> str:
        """The text with another value here. The comments of one that filled several lines stand below the new one."""
        if not self.block:
            ending = "\n" if text[self.start : self.end].endswith("\n") else ""
            return text[: self.start] + value + ending + text[self.end :]
        head, *rest = text[self.after : self.end].splitlines(keepends=True)
        colon = head.index(":") + 1 if ":" in head else 0
        beside = head[colon:].rstrip("\n")
        if "#" not in beside:
            beside = ""
        place, kept = self.after + len(head), []
        for line in rest:
            comment = self._comment(line, place)
            kept += [f"\n{' ' * self.indent}{comment}"] if comment else []
            place += len(line)
        return f"{text[: self.after + colon]} {value}{beside}{''.join(kept)}{text[self.end :]}"

    def with_first(self, text: str, entry: str) -> str | None:
        """The text with another entry of this mapping, before those that it has; None where it holds none."""
        if self.block:
            return f"{text[: self.start]}{entry}\n{' ' * self.indent}{text[self.start :]}"
        if text[self.start] != "{":
            return None
        rest = text[self.start + 1 :]
        return f"{text[: self.start + 1]}{entry}{'' if rest.lstrip().startswith('}') else ', '}{rest}"

    def _comment(self, line: str, place: int) -> str:
        """The comment at the end of a line that begins at a place of the text."""
        for found in re.finditer(r"(^|(?<=\s))#.*", line.rstrip("\n")):
            at = place + found.start()
            if not any(start <= at < end for start, end in self.scalars):
                return found[0]
        return ""


def spans_of(node: yaml.Node | None) -> dict[Path_, Span]:
    """Where each value stands, by its path; not the whole text itself, unless it stands in brackets."""
    found = dict(_spans(node, (), 0))
    if () in found and found[()].block:
        del found[()]
    return found


def _spans(node: yaml.Node | None, path: Path_, after: int) -> Iterator[tuple[Path_, Span]]:
    if node is None:
        return
    scalars = list(_scalars(node))
    block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    # A block's own mark for its end lies beyond the comments and empty lines that follow.
    end = max(end for _, end in scalars) if block and scalars else node.end_mark.index
    yield path, Span(node.start_mark.index, end, block, node.start_mark.column, after, scalars)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _spans(value, (*path, str(key.value)), key.end_mark.index)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _spans(item, (*path, number), item.start_mark.index)


def _scalars(node: yaml.Node) -> Iterator[tuple[int, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(key)
            yield from _scalars(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item)
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        yield node.start_mark.index, node.end_mark.index
