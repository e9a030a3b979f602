"""Data sets: one file each. A class here is a specification; nothing is read before `load`."""

from pathlib import Path

from lrtool.registry import Registry
from lrtool.tasks.base import Dataset

KINDS: Registry[Dataset] = Registry(Dataset, __name__, "data set")

__all__ = ["KINDS", "Dataset", "kind_by_name"]


def kind_by_name(file: str | Path) -> str | None:
    """The kind that reads files whose names end like this one's; None where there is none.

    >>> kind_by_name("sales.CSV"), kind_by_name("sales.xlsx")
    ('csv', None)
    """
    ending = Path(file).suffix.lower()
    return next((name for name, kind in KINDS.kinds.items() if ending in kind.endings), None)
