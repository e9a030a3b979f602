"""Built-in models: one class in one file each, and the user's own (`use:`)."""

from lrtool.registry import Registry
from lrtool.tasks.base import Model

KINDS: Registry[Model] = Registry(Model, __name__, "model")

__all__ = ["KINDS", "Model"]
