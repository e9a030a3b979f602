"""Data sets: one file each. A class here is a specification; nothing is read before `load`."""

from lrtool.registry import Registry
from lrtool.tasks.base import Dataset

KINDS: Registry[Dataset] = Registry(Dataset, __name__, "data set")

__all__ = ["KINDS", "Dataset"]
