"""A Hugging Face data set that was saved to disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, PrivateAttr

from lrtool.errors import MissingExtraError, TaskError, UsageError, nearest
from lrtool.tasks.base import Arrays, BuildContext, Data, Dataset, DataShape
from lrtool.tasks.datasets._files import find
from lrtool.tasks.datasets._samples import RowSamples
from lrtool.tasks.failures import guarded
from lrtool.tasks.tables.columns import Column, as_cell
from lrtool.tasks.tables.features import Missing
from lrtool.tasks.tables.split import Index
from lrtool.tasks.tables.table import TableData

_LOG = logging.getLogger("lrtool")

#: What targets, and splits that are held out, are usually called.
_TARGETS = ("label", "labels", "target", "targets", "y", "class")
_HELD_OUT = ("validation", "valid", "val", "dev", "test")
#: What `save_to_disk` writes of a data set, beside its rows.
_ABOUT = "dataset_info.json"


class HuggingFace(Dataset):
    """A data set of the package `datasets`, saved with `save_to_disk`: `{kind: huggingface, path: DIR, target: label}`.

    Columns of numbers, words and dates are a table, as in a CSV file. Columns of sequences, arrays or images are
    tensors: one goes in by itself, several (as `input_ids` and `attention_mask`) as keyword arguments by their names;
    shorter sequences of a batch are filled up with 0, targets with −100. Of a DatasetDict one split is trained with
    and one is held out. Needs the package datasets (`pip install 'lrtool[datasets]'`).
    """

    kind: Literal["huggingface"] = "huggingface"
    path: str = Field(description="The folder that `save_to_disk` wrote, relative to the config.")
    target: str | None = Field(None, description="The column to predict; unsaid, `label`, `labels`, `target` or `y`.")
    columns: tuple[str, ...] | None = Field(
        None, min_length=1, description="Columns that go into the model; unsaid, all but the target."
    )
    train_split: str = Field("train", description="Of a DatasetDict, the split to train with.")
    val_split: str | None = Field(
        None, description="The split to validate with; unsaid, `validation` or `test` where there is one."
    )
    missing: Missing = Field("mean", description="What becomes of missing cells of a table, as in a CSV file.")

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether `save_to_disk` left its marks there."""
        return any((path / mark).is_file() for mark in ("dataset_dict.json", _ABOUT))

    @classmethod
    def choices(cls, path: Path, named: str) -> Mapping[str, Sequence[str]]:
        """Its columns, as targets, unless one is named as usual."""
        about = next(file for file in (path / _ABOUT, *sorted(path.glob(f"*/{_ABOUT}"))) if file.is_file())
        names = list(json.loads(about.read_text(encoding="utf-8"))["features"])
        return {} if any(name in _TARGETS for name in names) else {"target": names}

    def load(self, context: BuildContext) -> Data:
        """Read the folder; UsageError without the package or such a column, TaskError where it cannot be read."""
        train, val = self._splits(_read(find(self.path, context, folder=True)))
        target = self._target(train)
        inputs = self._inputs(train, target)
        if all(_is_cell(train.features[name]) for name in inputs):
            return self._table(train, val, inputs, target, context)
        numbers = _numbers(train, val, target)
        parts = [RowSamples(rows, inputs, target, numbers) for rows in (train, val) if rows is not None]
        with guarded("reading the data set", "data"):
            return self._samples(parts, target)

    def _samples(self, parts: Sequence[RowSamples], target: str) -> Data:
        from lrtool.tasks.adapt import adapt

        kept = [part.in_memory() for part in parts]
        given: list[Any] = list(kept) if all(each is not None for each in kept) else list(parts)
        named = None if target in _TARGETS else target
        returned = tuple(given) if len(given) == 2 else given[0]
        data = adapt(returned, self.val_fraction, self.split_seed, target=named)
        classes = max(len(part.classes) for part in parts)
        if data.shape.target == "unknown" and classes and len(parts[0].targets):
            return replace(data, shape=DataShape((), classes, "class"))
        return replace(data, shape=replace(data.shape, outputs=max(classes, data.shape.outputs)))

    def _table(self, train: Any, val: Any, inputs: Sequence[str], target: str, context: BuildContext) -> Data:
        rows = _Rows(
            kind="huggingface", path=self.path, target=target, features=self.columns, missing=self.missing,
            val_fraction=self.val_fraction, split_seed=self.split_seed,
        )  # fmt: skip
        return rows.of(train, val, [*inputs, target], find(self.path, context, folder=True)).load(context)

    def _splits(self, found: Any) -> tuple[Any, Any]:
        """What is trained and validated with; None for the latter where it is to be split off."""
        if not hasattr(found, "keys"):
            if self.val_split is not None:
                raise UsageError(
                    f"{self.path} is one data set without splits", where="data.val_split",
                    remedy="leave it out; `val_fraction` is held out",
                )  # fmt: skip
            return found, None
        held_out = self.val_split or next((name for name in _HELD_OUT if name in found), None)
        for name, key in ((self.train_split, "train_split"), (held_out, "val_split")):
            if name is not None and name not in found:
                raise UsageError(
                    f"{self.path} has no split {name!r}", where=f"data.{key}", remedy=nearest(name, list(found))
                )
        if held_out == self.train_split:
            held_out = None
        if held_out is not None:
            _LOG.warning("%s: %r is validated with, and `val_fraction` is not used", self.path, held_out)
        return found[self.train_split], found[held_out] if held_out is not None else None

    def _target(self, rows: Any) -> str:
        names = rows.column_names
        wanted = self.target or next((name for name in _TARGETS if name in names), None)
        if wanted is None:
            what = "which column is to be predicted is not said"
            raise UsageError(what, where="data.target", remedy=f"choose one of: {', '.join(names)}")
        if wanted not in names:
            raise UsageError(
                f"{self.path} has no column {wanted!r}", where="data.target", remedy=nearest(wanted, names)
            )
        return wanted

    def _inputs(self, rows: Any, target: str) -> list[str]:
        names = list(rows.column_names)
        for name in self.columns or ():
            if name not in names or name == target:
                what = "is the target" if name == target else "is not there"
                others = [each for each in names if each != target]
                raise UsageError(f"the column {name!r} {what}", where="data.columns", remedy=nearest(name, others))
        chosen = list(self.columns or [name for name in names if name != target])
        texts = [name for name in chosen if _is_text(rows, name)]
        arrays = any(not _is_cell(rows.features[name]) for name in chosen)
        if not self.columns and arrays:
            # The text that tokens were made of stays beside them.
            chosen = [name for name in chosen if getattr(rows.features[name], "dtype", "") != "string"]
        elif texts and (arrays or len(texts) == len(chosen)):
            raise UsageError(
                f"the column {texts[0]!r} is text, which no model here takes",
                where="data.columns",
                remedy="save tokens: dataset.map(lambda row: tokenizer(row[…], truncation=True)).save_to_disk(…)",
            )
        return chosen


class _Rows(TableData):
    """The rows of both splits as one table, whose validation rows are known where there are two."""

    _table: dict[str, Column] = PrivateAttr(default_factory=dict)
    _sizes: tuple[int, int] = PrivateAttr((0, 0))

    def of(self, train: Any, val: Any, names: Sequence[str], path: Path) -> _Rows:
        """The same with these rows."""
        both = [rows.with_format(None) for rows in (train, val) if rows is not None]
        size = sum(map(len, both))
        for name in names:
            labels = getattr(train.features[name], "names", None)
            cells = [as_cell(labels[each] if labels and each is not None and each >= 0 else each)
                     for rows in both for each in rows[name][:]]  # fmt: skip
            self._table[name] = Column(name, path, cells, list(range(1, size + 1)))
        self._sizes = (len(train), size - len(train))
        return self

    def columns(self, context: BuildContext) -> tuple[dict[str, Column], list[str]]:
        """The columns of both splits."""
        return dict(self._table), []

    def _key(self, by: Column | None, rows: int) -> Any:
        return None

    def _complete(self, target: Column, columns: Sequence[Column], notes: list[str]) -> Index:
        kept = super()._complete(target, columns, notes)
        first = int(np.searchsorted(kept, self._sizes[0]))
        self._sizes = (first, len(kept) - first)
        return kept

    def parts(self, arrays: Arrays) -> tuple[Index, Index]:
        """The splits as they are, or where there is one, a part of it."""
        if not self._sizes[1]:
            return super().parts(arrays)
        whole = np.arange(len(arrays), dtype=np.int64)
        return whole[: self._sizes[0]], whole[self._sizes[0] :]


def _read(folder: Path) -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("datasets", extra="datasets", where="data.kind") from None
    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise TaskError(
            f"this is no data set that `save_to_disk` wrote: {str(error).splitlines()[0]}", where=str(folder),
            remedy="give the folder that dataset.save_to_disk(…) wrote",
        ) from None  # fmt: skip


def _is_cell(feature: Any) -> bool:
    """Whether a column holds single numbers, words or dates."""
    return hasattr(feature, "names") or type(feature).__name__ == "Value"


def _is_text(rows: Any, name: str) -> bool:
    """Whether a column of words holds text, in which hardly anything occurs twice."""
    if getattr(rows.features[name], "dtype", "") not in ("string", "large_string"):
        return False
    head = rows.with_format(None)[name][:1000]
    return len(set(head)) > max(32, len(head) // 2) or any(len(each or "") > 200 for each in head)


def _numbers(train: Any, val: Any, target: str) -> dict[str, int]:
    """What the words of a target stand for, in sorted order, and said; nothing where it has none."""
    if getattr(train.features[target], "dtype", "") not in ("string", "large_string"):
        return {}
    words = {each for rows in (train, val) if rows is not None for each in rows.with_format(None)[target][:]}
    numbers = {word: number for number, word in enumerate(sorted(words))}
    _LOG.warning("targets are words, so classes: %s", ", ".join(f"{word!r} is {n}" for word, n in numbers.items()))
    return numbers
