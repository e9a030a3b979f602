"""Words of a figure: how wide they are, titles that fit, legends below."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrtool.report.plots.style import shortened, shortened_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Sizes of a figure's title, of the lines below it, and of a legend, in points; and inches around them.
_TITLE, _ANSWER, _LEGEND = 12.0, 10.0, 8.5
_EDGE = 0.09
#: Height of a line as a multiple of its size; points of an inch.
_LINE, _POINTS = 1.35, 72.0
#: Inches that the sign of a legend's entry takes, with the space to the next entry.
_SIGN = 0.62
#: Lines of a name that is told in full; the rest is left out.
_MOST_LINES = 6
_UNSEEN = "\u200b"


@functools.lru_cache(maxsize=4096)
def width(text: str, size: float, bold: bool = False) -> float:
    """Inches that a line of text takes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / _POINTS


def wrapped(text: str, inches: float, size: float, bold: bool = False) -> list[str]:
    """The lines that a text takes in this width; a word that is wider is broken."""
    lines: list[str] = []
    for part in text.splitlines():
        line = ""
        for word in part.split():
            longer = f"{line} {word}" if line else word
            if width(longer, size, bold) <= inches:
                line = longer
                continue
            lines += [line] if line else []
            *whole, line = _broken(word, inches, size, bold)
            lines += whole
        lines += [line] if line else []
    return lines


def _broken(word: str, inches: float, size: float, bold: bool) -> list[str]:
    pieces = [""]
    for letter in word:
        if width(pieces[-1] + letter, size, bold) > inches and pieces[-1]:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def fitted(text: str, inches: float, size: float, bold: bool = False) -> str:
    """The text on one line, its middle left out where it is wider than this."""
    text = " ".join(text.split())
    length = len(text)
    while length > 3 and width(shortened(text, length), size, bold) > inches:
        length -= 1 + length // 20
    return shortened(text, length)


def fitted_apart(names: Sequence[str], inches: float, size: float) -> list[str]:
    """Names on one line each, shortened so that they fit and stay different."""
    names = [" ".join(name.split()) for name in names]
    for length in range(max(map(len, names), default=0), 8, -2):
        short = shortened_apart(names, length)
        if all(width(name, size) <= inches for name in short):
            return short
    return [fitted(name, inches, size) for name in names]


def titled(figure: Figure, title: str, answer: str = "") -> None:
    """A bold line that names what is shown and, below it, lines that say what it shows: the figure grows by them."""
    wide, tall = figure.get_size_inches()
    lines = wrapped(answer, wide - 2.5 * _EDGE, _ANSWER)
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], fitted(" ".join(lines[_MOST_LINES - 1 :]), wide - 2.5 * _EDGE, _ANSWER)]
    heading, below = _LINE * _TITLE / _POINTS, _LINE * _ANSWER / _POINTS * len(lines)
    head = _EDGE + heading + below
    figure.set_size_inches(wide, tall + head)
    figure.get_layout_engine().set(rect=(0, 0, 1, tall / (tall + head)))  # type: ignore[union-attr,call-arg]
    top = 1 - _EDGE / (tall + head)
    figure.text(_EDGE / wide, top, fitted(title, wide - 2.5 * _EDGE, _TITLE, bold=True), va="top",
                fontsize=_TITLE, fontweight="bold")  # fmt: skip
    if lines:
        figure.text(_EDGE / wide, top - heading / (tall + head), "\n".join(lines), va="top", fontsize=_ANSWER,
                    linespacing=_LINE)  # fmt: skip


def headline(figure: Figure) -> str:
    """What a figure says above its panels: title and answer, on one line each."""
    return "\n".join(" ".join(text.get_text().split()) for text in figure.texts)


def legend_below(figure: Figure, axes: Sequence[Axes], title: str = "", most: int = 6) -> None:
    """One legend for these axes, below them, in as many columns as fit: the figure grows by what it takes."""
    pairs = [pair for each in axes for pair in zip(*each.get_legend_handles_labels(), strict=True)]
    if not pairs:
        return
    wide, tall = figure.get_size_inches()
    names = fitted_apart([name.removeprefix(_UNSEEN) for _, name in pairs], wide - 2 * _SIGN, _LEGEND)
    column = max(width(name, _LEGEND) for name in names) + _SIGN + 0.1
    columns = max(1, min(most, len(names), int((wide - 2 * _EDGE) / column)))
    lines = wrapped(title, wide - 4 * _EDGE, _LEGEND)
    rows = -(-len(names) // columns) + len(lines)
    figure.set_size_inches(wide, tall + rows * 1.55 * _LEGEND / _POINTS)
    legend = figure.legend([sign for sign, _ in pairs], ["name"] * len(names), loc="outside lower center",
                           ncols=columns, columnspacing=1.4, title="\n".join(lines) or None)  # fmt: skip
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
    legend.get_title().set_fontsize(_LEGEND)


def label(name: str) -> str:
    """A name as a label for `legend_below`: matplotlib takes those that begin with an underscore for none."""
    return f"{_UNSEEN}{name}" if name.startswith("_") else name


def y_label(axes: Axes, name: str, inches: float) -> None:
    """Name the y axis of a panel of this height, on two lines at most."""
    size = 10.0 if width(name, 10.0) <= inches else 8.5
    lines = wrapped(name, inches, size)
    if len(lines) > 2:
        lines = [lines[0], fitted(" ".join(lines[1:]), inches, size)]
    axes.set_ylabel("\n".join(lines), fontsize=size)
