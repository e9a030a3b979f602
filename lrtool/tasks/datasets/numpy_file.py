"""A user's arrays as NumPy files."""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lrtool.errors import TaskError, UsageError
from lrtool.memory import physical_memory
from lrtool.reading import MEBI
from lrtool.tasks.base import Arrays, BuildContext, DataShape, Unit
from lrtool.tasks.datasets._files import find
from lrtool.tasks.memory import InMemory, scale_inputs, statistics

#: An archive that inflates to more bytes than this, and to more than so many times its size, is taken for a trap.
_SUSPECT, _MOST_PACKED = 256 * MEBI, 200
#: Whole numbers of at most so many values are classes.
_MOST_CLASSES = 1000


class NumpyFile(InMemory):
    """Arrays of an `.npz` file, or of `.npy` files; their first axis is the sample.

    `{kind: numpy, path: digits.npz, inputs: [images], target: labels}`, or with one file an array
    `{kind: numpy, path: x.npy, target: y.npy}`. Whole numbers are classes, numbered from 0 in sorted order; other
    targets are values, standardised. Inputs are standardised per column (images: as a whole). Nothing is unpickled.
    """

    endings: ClassVar[tuple[str, ...]] = (".npz", ".npy")

    kind: Literal["numpy"] = "numpy"
    path: str = Field(description="The `.npz` file, or the inputs' `.npy` file, relative to the config.")
    inputs: tuple[str, ...] | None = Field(
        None, min_length=1, description="Names in the `.npz` file; unsaid, all but the target."
    )
    target: str = Field("y", description="Name in the `.npz` file, or the target's `.npy` file.")
    task: Literal["auto", "classification", "regression"] = Field("auto", description="What the target is.")

    @classmethod
    def choices(cls, path: Path, named: str) -> Mapping[str, Sequence[str]]:
        """The arrays beside the inputs, as targets, unless one is named as usual."""
        if path.suffix.lower() == ".npy":
            others = sorted(each.name for each in path.parent.glob("*.npy") if each.name != path.name)
            return {"target": [Path(named).with_name(name).as_posix() for name in others]}
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        return {} if cls.model_fields["target"].default in names else {"target": names}

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Inputs and target as they are in the files, floats in double precision."""
        inputs, target = self._read(find(self.path, context), context)
        sizes = {len(part) if part.ndim else 0 for part in (*inputs, target)}
        if len(sizes) > 1:
            shapes = ", ".join(str(part.shape) for part in (*inputs, target))
            raise TaskError(
                f"inputs and target have different numbers of samples: {shapes}", where=self.path,
                remedy="the first axis of every array must be the sample",
            )  # fmt: skip
        for part in inputs:
            self._check_kind(part, "biuf")
        self._check_kind(target, "biufU" if self._is_classification(target) else "biuf")
        floats = tuple(part.astype(np.float64) for part in inputs)
        shape = floats[0].shape[1:] if len(floats) == 1 else ()
        if self._is_classification(target):
            classes, labels = np.unique(target, return_inverse=True)
            return Arrays(floats, labels.reshape(target.shape).astype(np.int64)), DataShape(
                shape, len(classes), "class"
            )
        values = target.astype(np.float64)
        values = values[:, None] if values.ndim == 1 else values
        return Arrays(floats, values), DataShape(shape, values.shape[-1], "value")

    def standardise(self, train: Arrays, val: Arrays | None) -> tuple[Arrays, Arrays | None]:
        """Inputs, and a target of values."""
        axis = 0 if all(part.ndim == 2 for part in train.inputs) else None
        train, val = scale_inputs(train, val, axis)
        if train.target.dtype == np.int64:
            return train, val
        mean, std = statistics(train.target)

        def scaled(part: Arrays) -> Arrays:
            return Arrays(part.inputs, (part.target - mean) / std)

        return scaled(train), scaled(val) if val is not None else None

    def unit(self, train: Arrays) -> Unit | None:
        """That of a target of values, one for each column."""
        if train.target.dtype == np.int64 or train.target.ndim != 2:
            return None
        return Unit(self.target, tuple(statistics(train.target)[1].tolist()))

    def _is_classification(self, target: NDArray[Any]) -> bool:
        if self.task != "auto":
            return self.task == "classification"
        whole = target.dtype.kind in "biuU"
        return whole and len(np.unique(target)) <= _MOST_CLASSES

    def _check_kind(self, part: NDArray[Any], kinds: str) -> None:
        if part.dtype.kind not in kinds:
            raise TaskError(
                f"an array has values of the type {part.dtype}, and numbers are needed", where=self.path,
                remedy="save numbers, such as numpy.float32",
            )  # fmt: skip

    def _read(self, path: Path, context: BuildContext) -> tuple[list[NDArray[Any]], NDArray[Any]]:
        found = _loaded(path)
        if isinstance(found, np.ndarray):
            if not self.target.endswith(".npy"):
                raise UsageError(
                    f"{self.path} holds one array, so the target must be a file of its own, but got {self.target!r}",
                    where="data.target", remedy="write the path of an .npy file, or give an .npz file",
                )  # fmt: skip
            target = _loaded(find(self.target, context))
            if not isinstance(target, np.ndarray):
                raise UsageError("the target is no .npy file", where="data.target", remedy="save it with numpy.save")
            return [found], target
        names = self.inputs or tuple(name for name in found if name != self.target)
        for name, where in ((self.target, "data.target"), *((name, "data.inputs") for name in names)):
            if name not in found:
                near = difflib.get_close_matches(name, found, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(found)}"
                raise UsageError(f"{self.path} has no array {name!r}", where=where, remedy=hint)
        return [found[name] for name in names], found[self.target]


def _loaded(path: Path) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """An array, or arrays by name; raises TaskError where the file is none of NumPy's, or would run code."""
    try:
        if zipfile.is_zipfile(path):
            _check_size(path)
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            parts = {name: found[name] for name in found.files}
        other = next((name for name, part in parts.items() if not isinstance(part, np.ndarray)), None)
        if other is not None:  # NumPy gives bytes where it is none of its files
            raise ValueError(f"its part {other!r} is no array")
        return parts
    except (MemoryError, TaskError):
        raise
    except Exception as error:  # a stranger's bytes: NumPy's reader, zipfile and zlib have errors of many kinds
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise TaskError(
            f"this is no file of NumPy arrays: {what}", where=str(path),
            remedy="save arrays of numbers with numpy.save or numpy.savez; pickled objects are not read",
        ) from None  # fmt: skip


def _check_size(path: Path) -> None:
    """Raise TaskError where an archive inflates to more than this machine has, or is made to do nothing else."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    inflated, packed = sum(each.file_size for each in parts), sum(each.compress_size for each in parts)
    if inflated > (physical_memory() or inflated) or (inflated > _SUSPECT and inflated > _MOST_PACKED * packed):
        raise TaskError(
            f"its {packed / MEBI:,.1f} MiB inflate to {inflated / MEBI:,.0f} MiB, which are not read", where=str(path),
            remedy="save it with numpy.savez, which does not compress, if it is right",
        )  # fmt: skip
