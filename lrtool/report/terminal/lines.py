"""Line plots as plain text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.report.plots.style import number

Array = NDArray[np.float64]

#: The dots of a braille character, by row (top to bottom) and column; U+2800 plus their sum is the character.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_GLYPHS = "●○▲×◆+▽#"


def line_plot(
    x: ArrayLike, series: Mapping[str, ArrayLike], width: int = 72, height: int = 16, log: bool = False
) -> str:
    """Curves over a common x as lines of text, `width` by `height` characters with axes and legend.

    `x` is (points,) and not decreasing, every series (points,); NaN is a gap, and with `log` so are values up
    to 0. One curve is drawn in braille dots, several with a sign each. No control characters.
    """
    xs = np.asarray(x, dtype=np.float64)
    curves = {name: _known(np.asarray(values, dtype=np.float64), log) for name, values in series.items()}
    finite = np.concatenate([values[np.isfinite(values)] for values in curves.values()] or [np.empty(0)])
    if not finite.size or not xs.size:
        return "(nothing to draw)\n"
    low, high = _limits(finite, log)
    labels = _y_labels(low, high, height, log)
    margin = max(map(len, labels.values()))
    columns, rows = max(width - margin - 2, 8), max(height, 3)
    canvas = _braille if len(curves) == 1 else _glyphs
    drawing = canvas(xs, list(curves.values()), (low, high), columns, rows)
    lines = [f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}{drawing[row]}" for row in range(rows)]
    lines += [f"{'':>{margin}} └{'─' * columns}", f"{'':>{margin}}  {_x_labels(xs, columns)}"]
    legend = [f"{'':>{margin}}  {_sign(place, len(curves))} {name}" for place, name in enumerate(curves) if name]
    return "\n".join(line.rstrip() for line in lines + legend) + "\n"


def _known(values: Array, log: bool) -> Array:
    values = np.where(np.isfinite(values), values, np.nan)
    return np.log10(values, out=np.full_like(values, np.nan), where=values > 0) if log else values


def _limits(finite: Array, log: bool) -> tuple[float, float]:
    low, high = float(finite.min()), float(finite.max())
    if not log and 0 < low <= 0.4 * high:
        low = 0.0
    if not high > low:
        pad = 0.5 if log else abs(high) / 2 or 1.0
        low, high = low - pad, high + pad
    return low, high


def _y_labels(low: float, high: float, rows: int, log: bool) -> dict[int, str]:
    rows = max(rows, 3)
    places = {0, rows - 1, (rows - 1) // 2} if rows < 12 else {0, rows // 4, rows // 2, 3 * rows // 4, rows - 1}
    values = {row: high - (high - low) * row / (rows - 1) for row in places}
    return {row: number(10**value if log else value) for row, value in sorted(values.items())}


def _x_labels(xs: Array, columns: int) -> str:
    centre = (xs[0] + xs[-1]) / 2
    whole = bool((xs == np.round(xs)).all())
    first, middle, last = (f"{value:g}" for value in (xs[0], round(centre) if whole else centre, xs[-1]))
    line = f"{first}{last:>{max(columns - len(first), len(last) + 1)}}"
    start = columns // 2 - len(middle) // 2
    free = line[max(start - 2, 0) : start + len(middle) + 2]
    return line[:start] + middle + line[start + len(middle) :] if not free.strip() and len(xs) > 2 else line


def _sign(place: int, count: int) -> str:
    return "⣀" if count == 1 else _GLYPHS[place % len(_GLYPHS)]


def _braille(xs: Array, curves: list[Array], limits: tuple[float, float], columns: int, rows: int) -> list[str]:
    canvas = np.zeros((rows, columns), dtype=np.int64)
    for y, x in _pixels(xs, curves[0], limits, columns * 2, rows * 4):
        canvas[y // 4, x // 2] |= _DOTS[y % 4, x % 2]
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in row) for row in canvas.tolist()]


def _glyphs(xs: Array, curves: list[Array], limits: tuple[float, float], columns: int, rows: int) -> list[str]:
    canvas = [[" "] * columns for _ in range(rows)]
    for place, values in enumerate(curves):
        for y, x in _pixels(xs, values, limits, columns, rows):
            # Where curves coincide their signs take turns, so that none vanishes below another.
            if canvas[y][x] == " " or x % len(curves) == place:
                canvas[y][x] = _sign(place, len(curves))
    return ["".join(row) for row in canvas]


def _pixels(xs: Array, values: Array, limits: tuple[float, float], columns: int, rows: int) -> list[tuple[int, int]]:
    """The (row, column) pairs of a curve: its value in every column, and what joins it to the one before."""
    span = xs[-1] - xs[0]
    at = np.clip(((xs - xs[0]) / span if span > 0 else np.full(xs.shape, 0.5)) * (columns - 1), 0, columns - 1)
    heights = (limits[1] - values) / (limits[1] - limits[0]) * (rows - 1)
    edges = np.searchsorted(np.round(at), np.arange(columns + 1))
    pixels: list[tuple[int, int]] = []
    before: int | None = None
    for column in range(columns):
        inside = heights[edges[column] : edges[column + 1]]
        inside = inside[np.isfinite(inside)]
        if inside.size:
            first, last = round(float(inside[0])), round(float(inside[-1]))
            low, high = round(float(inside.min())), round(float(inside.max()))
        else:
            value = _between(at, heights, column) if span > 0 else None
            if value is None:
                before = None
                continue
            first = last = low = high = round(value)
        if before is not None:
            low, high = min(low, before + (before < first)), max(high, before - (before > first))
        pixels += [(row, column) for row in range(low, high + 1)]
        before = last
    return pixels


def _between(at: Array, heights: Array, column: int) -> float | None:
    """The height between two points, None before the first, after the last and beside a gap."""
    right = int(np.searchsorted(at, column))
    if right in (0, len(at)) or not np.isfinite(heights[right - 1 : right + 1]).all():
        return None
    part = (column - at[right - 1]) / (at[right] - at[right - 1])
    return float(heights[right - 1] + part * (heights[right] - heights[right - 1]))
