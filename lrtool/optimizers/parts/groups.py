"""Groups of parameters: which belong to one, and what holds for them."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lrtool.errors import UsageError
from lrtool.schedules.nested import AnySchedule


class ParamGroup(BaseModel):
    """Parameters chosen by name, by number of dimensions or by both; they get an LR (and weight decay) of their own.

    Dimensions are those of the model's own parameter: a bias has 1, a linear layer's matrix 2, a 2-D convolution 4.
    All that a group says must hold; of several groups that match, the first wins. An LR of 0 freezes a group.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    match: str = Field("*", description="Shell pattern on parameter names, such as 'encoder.*'.")
    ndim: int | None = Field(None, ge=0, description="Only parameters with exactly so many dimensions; 2: matrices.")
    min_ndim: int | None = Field(None, ge=1, description="Only parameters with at least so many dimensions.")
    lr_scale: float = Field(1.0, ge=0, description="Multiplies the LR of these parameters at every step.")
    lr: float | None = Field(
        None, ge=0, description="Peak LR of these parameters, whatever the optimizer's own is; instead of lr_scale."
    )
    schedule: AnySchedule | None = Field(
        None, description="How the LR of these parameters moves; unsaid: as the config's schedule says."
    )
    weight_decay: float | None = Field(None, ge=0, description="Replaces the optimizer's weight decay here.")
    rule: str | None = Field(None, description="Which of the optimizer's rules updates these, where it has several.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.ndim is not None and self.min_ndim is not None:
            raise ValueError(
                f"a group has ndim or min_ndim, but got ndim {self.ndim} and min_ndim {self.min_ndim};"
                f" leave one out, and write ndim: {self.ndim} for exactly so many dimensions"
            )
        if self.lr is not None and "lr_scale" in self.model_fields_set and self.lr_scale != 1:
            raise ValueError(
                f"a group has lr or lr_scale, but got lr {self.lr:g} and lr_scale {self.lr_scale:g};"
                f" leave one out, and write lr: {self.lr:g} for an LR that the optimizer's own does not move"
            )
        return self

    @property
    def has_own_lr(self) -> bool:
        """Whether its LR is more than a multiple of the optimizer's."""
        return self.lr is not None or self.schedule is not None

    def peak(self, lr: float) -> float:
        """The peak LR of these parameters where the optimizer's is `lr`."""
        return lr * self.lr_scale if self.lr is None else self.lr

    def holds(self, name: str, ndim: int) -> bool:
        """Whether a parameter of this name and number of dimensions belongs here."""
        fits = self.ndim in (None, ndim) and (self.min_ndim is None or ndim >= self.min_ndim)
        return fits and fnmatch.fnmatchcase(name, self.match)


class Placed(NamedTuple):
    """What holds for one parameter; those with the same share a param group of torch's, in this order.

    `place`: the numbers of the user's group and the optimizer's own. Its LR is that of `lr_column` times `lr_scale`.
    """

    place: tuple[int, int]
    lr_scale: float = 1.0
    lr_column: str = "lr"
    weight_decay: float | None = None
    rule: str | None = None


def lr_column(number: int) -> str:
    """What the LR of a group is called among hyperparameters, in metrics and in previews."""
    return f"lr_group_{number}"


def unmatched(group: ParamGroup, where: str, shapes: Mapping[str, tuple[int, ...]]) -> UsageError:
    """The error for a group without parameters: which of its keys leaves none, and what there is."""
    named = [name for name in shapes if fnmatch.fnmatchcase(name, group.match)]
    if not named:
        what = f"the pattern {group.match!r} matches no parameter"
        return UsageError(what, where=f"{where}.match", remedy=f"the model's parameters are: {_some(list(shapes))}")
    key, limit = ("ndim", "") if group.ndim is not None else ("min_ndim", "at least ")
    whose = "no parameter" if group.match == "*" else f"no parameter that {group.match!r} matches"
    return UsageError(
        f"{whose} has {limit}{getattr(group, key)} dimensions",
        where=f"{where}.{key}",
        remedy=f"their shapes are: {_some([f'{name} {shapes[name]}' for name in named])}",
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
