"""Schedules as text for a terminal: a list of all kinds, one explained, several drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from lrtool.report.plots.style import number
from lrtool.report.schedules.reference import Counterpart, Entry, entry
from lrtool.report.terminal.lines import line_plot
from lrtool.report.terminal.sparkline import sparkline
from lrtool.schedules import KINDS, Schedule

Array = NDArray[np.float64]

#: Updates that a kind without a run is drawn over (long: some kinds fall at a pace of their own), and the width
#: of a sparkline.
_STEPS, _SPARKS = 40_000, 24


def example(kind: str) -> Array | None:
    """A kind's values with all defaults, peak 1, shape (steps,); None where a field has no default."""
    cls: type[Schedule] = KINDS[kind]
    if any(info.is_required() for info in cls.model_fields.values()):
        return None
    return cls.model_validate({}).bind(1.0, _STEPS).table()


def spark(kind: str) -> str:
    """A kind in a line, from 0 to its peak."""
    values = example(kind)
    return "(from a file)" if values is None else sparkline(values, _SPARKS, low=0.0, high=1.0)


def kinds_listed(width: int = 140) -> str:
    """All kinds, each with its shape and a line about it, wrapped where it is longer."""
    rows = [("kind", "shape", "what it is"), *((kind, spark(kind), entry(kind).summary) for kind in KINDS.kinds)]
    names, sparks = (max(len(row[place]) for row in rows) for place in (0, 1))
    return "\n".join(_wrapped(f"{row[0]:{names}}  {row[1]:{sparks}}  ", row[2], width) for row in rows)


def explained(kind: str, width: int = 100) -> str:
    """All about a kind: formula, fields, when it helps and hurts, reference, equivalents, a plot."""
    found = entry(kind)
    told = [_wrapped("  ", " ".join(part.split()), width) for part in found.details.split("\n\n")]
    parts = [f"{kind}: {found.summary}", textwrap.indent(found.formula, "  "), *told]
    values = example(kind)
    if values is not None:
        plot = line_plot(np.arange(_STEPS), {"": values}, width=min(width, 64), height=9)
        parts.append(textwrap.indent(plot.rstrip("\n"), "  "))
    parts.append("\n".join(_fields(found, width)))
    said = (("helps", found.helps), ("hurts", found.hurts), ("source", found.source))
    parts.append("\n".join(_wrapped(f"{name:8}", text, width) for name, text in said))
    if found.elsewhere:
        # T is the run, W its warm-up, lr the peak: parity.py's symbols.
        parts.append("elsewhere (T updates, of which W warm-up; lr: the peak)")
        parts += ["\n".join(_equivalent(each, width)) for each in found.elsewhere]
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def drawn(curves: Mapping[str, Array], log: bool = False, width: int = 78, height: int = 16) -> str:
    """Curves by name, each (steps,), on common axes; shorter ones end earlier."""
    longest = max(map(len, curves.values()))
    series = {name: np.pad(y, (0, longest - len(y)), constant_values=np.nan) for name, y in curves.items()}
    return line_plot(np.arange(longest), series, width=width, height=height, log=log)


def facts(name: str, values: Array, after: float) -> str:
    """A curve in numbers: where it starts, its highest, its last value and what is held after it."""
    peak = int(np.argmax(values))
    updates = "1 update" if len(values) == 1 else f"{len(values)} updates"
    return (
        f"{name}: {updates}, first {number(values[0])}, highest {number(values[peak])} at step {peak},"
        f" last {number(values[-1])}, then {number(after)}"
    )


def _fields(found: Entry, width: int) -> Iterator[str]:
    names = max(len(field.name) for field in found.fields)
    defaults = min(max(len(field.default) for field in found.fields), 24)
    for shared, title in ((False, "fields"), (True, "fields of every schedule")):
        fields = [field for field in found.fields if field.shared == shared]
        if fields:
            yield title
        for field in fields:
            head = f"  {field.name:{names}}  {field.default:{defaults}}  "
            if len(field.default) > defaults:
                yield head.rstrip()
                head = " " * (names + defaults + 6)
            yield _wrapped(head, field.description, width)


def _equivalent(each: Counterpart, width: int) -> Iterator[str]:
    yield f"  {each.library}: {each.name}"
    yield _wrapped("    theirs  ", each.theirs, width)
    yield _wrapped("    here    ", each.ours, width)
    if each.note:
        yield _wrapped("    note    ", f"{each.note}.", width)


def _wrapped(head: str, text: str, width: int) -> str:
    return textwrap.fill(
        text, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
