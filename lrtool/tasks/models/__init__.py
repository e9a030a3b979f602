"""Models: one file each. A class here is a specification; torch is imported only when it is built."""

from lrtool.registry import Registry
from lrtool.tasks.base import Model

KINDS: Registry[Model] = Registry(Model, __name__, "model")

__all__ = ["KINDS", "Model"]
