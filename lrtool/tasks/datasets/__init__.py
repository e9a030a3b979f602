"""Built-in datasets: one class in one file each, and the user's own (`use:`)."""

from lrtool.registry import Registry
from lrtool.tasks.base import Dataset

KINDS: Registry[Dataset] = Registry(Dataset, __name__, "dataset")

__all__ = ["KINDS", "Dataset"]
