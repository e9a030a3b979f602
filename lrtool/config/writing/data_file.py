"""A file of data that a config is to be written for: the kind that reads it, and what its user has to choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lrtool.errors import UsageError
from lrtool.reading import at_home
from lrtool.tasks.base import Dataset
from lrtool.tasks.datasets import KINDS
from lrtool.tasks.targets import from_folder

_FORMS = "give a .csv, .parquet, .npz, .npy or .txt file, or a folder that holds a folder of images for each class"


@dataclass(frozen=True)
class DataFile:
    """A file or folder of data: its kind, the path that a config names it by, and what there is to choose, by field."""

    kind: str
    path: str
    choices: Mapping[str, Sequence[str]]


def data_file(given: str, folder: Path) -> DataFile | None:
    """The file or folder that was named from where the user is, for a config in `folder`; None where it is no such.

    A file that is not there yet is known by its name. Raises UsageError for one that no kind of data reads.
    """
    if given in KINDS.kinds:
        return None
    path = Path.cwd() / at_home(given)
    kind = next((name for name, cls in KINDS.kinds.items() if _reads(cls, path)), None)
    if kind is not None:
        named = _named(path, folder)
        return DataFile(kind, named, _choices(KINDS.kinds[kind], path, named))
    if path.suffix == ".py" or not _is_there(path):
        return None
    what = "no kind of data reads such a file"
    if path.is_dir():
        what = "this folder holds neither a folder of images for each class nor a saved data set"
    raise UsageError(what, where=given, remedy=f"{_FORMS}, or write code that loads it: --data my_data.py:load")


def _named(path: Path, folder: Path) -> str:
    """A file as a config in the folder names it; beneath that, links stay as they are."""
    here = folder.absolute()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else from_folder(path, folder)


def _reads(cls: type[Dataset], path: Path) -> bool:
    with suppress(OSError, ValueError):  # it may not be looked at, or no file can be called so
        return cls.reads(path)
    return False


def _is_there(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.exists()
    return False


def _choices(cls: type[Dataset], path: Path, named: str) -> Mapping[str, Sequence[str]]:
    # Whatever is wrong with the file, `lrtool check` says it in the file's own terms.
    with suppress(Exception):
        return cls.choices(path, named)
    return {}
