"""A user's own model, data and loss as parts of a config: the objects themselves, not what would make them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from pydantic import PrivateAttr
from torch import nn

from lrtool.errors import TaskError
from lrtool.live.iterables import as_data
from lrtool.tasks import adapt
from lrtool.tasks.base import BuildContext, Data, DataShape, LossFunction
from lrtool.tasks.custom import article
from lrtool.tasks.datasets.use import UseData
from lrtool.tasks.losses.use import UseLoss
from lrtool.tasks.models.use import UseModel

#: Samples of a batch, where neither the caller nor the data say.
_BATCH = 64


def named(value: Any) -> str:
    """Where the class or function of an object is defined, as a config would name it."""
    owner = value if inspect.isfunction(value) or isinstance(value, type) else type(value)
    return f"{owner.__module__}:{owner.__qualname__}"


class LiveModel(UseModel):
    """A model that is there: each trial begins with `fresh()`; a config shows only what it is called."""

    # Without a default it is no kind of its own that a config could name.
    kind: Literal["use"]
    _fresh: Callable[[], Any] = PrivateAttr()
    _latest: nn.Module | None = PrivateAttr(None)

    @classmethod
    def of(cls, fresh: Callable[[], Any], model: Any, output: int | str | None = None) -> LiveModel:
        """From a function that gives the model as it is to begin with; `model`: what it is named after."""
        made = cls(kind="use", use=named(model), output=output)
        made._fresh = fresh
        return made

    @classmethod
    def copied(cls, model: nn.Module, output: int | str | None = None) -> LiveModel:
        """Every trial trains a copy of the model."""
        return cls.of(lambda: copy.deepcopy(model), model, output)

    @property
    def latest(self) -> nn.Module | None:
        """The model that was given out last."""
        return self._latest

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """The model as it is to begin with; TaskError where a user's function gives none."""
        made = self._fresh()
        if not isinstance(made, nn.Module):
            got = f"the class {made.__name__} itself" if isinstance(made, type) else article(made)
            raise TaskError(f"the model function gave {got}, not an nn.Module", where="model", remedy="return a module")
        self._latest = made
        return made


class LiveData(UseData):
    """Data that are there: loaders, data sets, streams, tensors or arrays."""

    kind: Literal["use"]
    _value: Any = PrivateAttr()
    _pair: bool = PrivateAttr(False)
    _notes: list[str] = PrivateAttr(default_factory=list)
    _loaded: Data | None = PrivateAttr(None)

    @classmethod
    def of(cls, data: Any, val: Any = None, **fields: Any) -> LiveData:
        """From training data, and validation data if those are apart."""
        made = cls(kind="use", use=named(data), **{key: value for key, value in fields.items() if value is not None})
        made._value, made._pair = ((data, val), True) if val is not None else (data, False)
        return made

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about how the data were read."""
        return tuple(self._notes)

    def load(self, context: BuildContext) -> Data:
        """Sources over the data; read once, however often it is asked for."""
        if self._loaded is None:
            parts = self._value if self._pair else (self._value,)
            read = tuple(as_data(part, self.samples, self._notes) for part in parts)
            found = adapt.adapt(
                read if self._pair else read[0], self.val_fraction, self.split_seed, self.samples, self.target
            )
            if "batch_size" in self.model_fields_set:
                found = replace(found, batch_size=self.batch_size)
            elif found.batch_size is None:
                found = replace(found, batch_size=min(_BATCH, len(found.train)))
            self._loaded = replace(found, drop_last=None) if "drop_last" in self.model_fields_set else found
        return self._loaded


class LiveLoss(UseLoss):
    """A loss function that is there: called as `loss(output, target)`, it gives the mean over the batch."""

    kind: Literal["use"]
    _function: LossFunction = PrivateAttr()

    @classmethod
    def of(cls, function: LossFunction) -> LiveLoss:
        """From the function, or a module."""
        made = cls(kind="use", use=named(function))
        made._function = function
        return made

    def build(self, context: BuildContext) -> LossFunction:
        """The function itself."""
        return self._function
