"""Points that a user has already: a CSV file with a column for each key, `lr` and `loss`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lrtool.analysis.search.transfer.points import Points
from lrtool.errors import UsageError, nearest
from lrtool.units import number

#: Columns that are no keys; `seed` only tells rows apart.
_LR, _LOSS, _SEED = "lr", "loss", "seed"
_LOST = ("", "nan", "inf", "+inf", "-inf", "diverged", "none", "null")


def read_points(path: Path) -> Points:
    """The points of a file; rows alike in keys and LR are seeds of each other.

    A loss that is empty, `nan`, `inf` or `diverged` is that of a training that diverged. Raises UsageError, with line
    and column, where the file cannot be read, a column is missing, or an entry is no number above 0.
    """
    rows = _rows(path)
    header, body = _header(path, rows[0]), rows[1:]
    keys = [name for name in header if name not in (_LR, _LOSS, _SEED)]
    if not body:
        raise UsageError("there are no points, only the names of the columns", where=str(path))
    lrs, losses, values = [], [], []
    for line, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise UsageError(
                f"expected {len(header)} entries ({', '.join(header)}), but got {len(row)}", where=f"{path}:{line}:1"
            )
        entry = dict(zip(header, row, strict=True))
        lrs.append(_above_zero(path, line, header, entry, _LR))
        values.append([_above_zero(path, line, header, entry, key) for key in keys])
        losses.append(_loss(path, line, header, entry))
    return Points(tuple(keys), np.array(values, dtype=np.float64).reshape(len(body), len(keys)), np.array(lrs),
                  np.array(losses))  # fmt: skip


def _rows(path: Path) -> list[list[str]]:
    if path.is_dir():
        raise UsageError("this is a folder", where=str(path), remedy="give a CSV file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read the points: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError("this is no text", where=str(path), remedy="give a CSV file in UTF-8") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise UsageError("the file is empty", where=str(path), remedy="give columns for the keys, lr and loss")
    delimiter = next((sign for sign in ("\t", ";") if sign in lines[0]), ",")
    try:
        found = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UsageError(f"this is no CSV: {error}", where=str(path)) from None
    return [[entry.strip() for entry in row] for row in found]


def _header(path: Path, header: Sequence[str]) -> list[str]:
    for needed in (_LR, _LOSS):
        if needed not in header:
            near = nearest(needed, header)
            raise UsageError(
                f"there is no column {needed}, only {', '.join(header)}",
                where=f"{path}:1:1",
                remedy=f"name it {needed}" + (f" ({near})" if near.startswith("did") else ""),
            )
    twice = next((name for name in header if list(header).count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the column {twice!r} stands here twice", where=f"{path}:1:1", remedy="leave one")
    if "" in header:
        raise UsageError(
            "a column has no name", where=f"{path}:1:{header.index('') + 1}", remedy="name it, or leave it out"
        )
    return list(header)


def _above_zero(path: Path, line: int, header: Sequence[str], entry: dict[str, str], key: str) -> float:
    value = number(entry[key])
    if value is None or value <= 0:
        of = "an LR is" if key == _LR else f"the key {key} is to be"
        raise UsageError(
            f"{of} a number above 0, but got {entry[key]!r}",
            where=f"{path}:{line}:{header.index(key) + 1}",
            remedy="laws are over the logarithms of keys" if key != _LR else None,
        )
    return value


def _loss(path: Path, line: int, header: Sequence[str], entry: dict[str, str]) -> float:
    text = entry[_LOSS].lower()
    if text in _LOST:
        return math.nan
    value = number(text)
    if value is None:
        raise UsageError(
            f"a loss is a number, or empty where the training diverged, but got {entry[_LOSS]!r}",
            where=f"{path}:{line}:{header.index(_LOSS) + 1}",
        )
    return value


def points_csv(points: Points) -> str:
    """Points as `read_points` reads them."""
    rows = [",".join((*points.keys, _LR, _LOSS))]
    for values, lr, loss in zip(points.values.tolist(), points.lr.tolist(), points.loss.tolist(), strict=True):
        rows.append(",".join(repr(each) for each in (*values, lr, loss)))
    return "\n".join([*rows, ""])
