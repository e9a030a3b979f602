"""What every optimizer gives: fields, a torch optimizer for one model, a pure update for many."""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lrtool.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class ParamGroup(BaseModel):
    """Parameters chosen by name, by number of dimensions or by both; they get an LR multiplier (and weight decay).

    Dimensions are those of the model's own parameter: a bias has 1, a linear layer's matrix 2, a 2-D convolution 4.
    All that a group says must hold; of several groups that match, the first wins.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    match: str = Field("*", description="Shell pattern on parameter names, such as 'encoder.*'.")
    ndim: int | None = Field(None, ge=0, description="Only parameters with exactly so many dimensions; 2: matrices.")
    min_ndim: int | None = Field(None, ge=1, description="Only parameters with at least so many dimensions.")
    lr_scale: float = Field(1.0, ge=0, description="Multiplies the LR of these parameters at every step.")
    weight_decay: float | None = Field(None, ge=0, description="Replaces the optimizer's weight decay here.")
    rule: str | None = Field(None, description="Which of the optimizer's rules updates these, where it has several.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.ndim is not None and self.min_ndim is not None:
            raise ValueError(
                f"a group has ndim or min_ndim, but got ndim {self.ndim} and min_ndim {self.min_ndim};"
                f" leave one out, and write ndim: {self.ndim} for exactly so many dimensions"
            )
        return self

    def holds(self, name: str, ndim: int) -> bool:
        """Whether a parameter of this name and number of dimensions belongs here."""
        fits = self.ndim in (None, ndim) and (self.min_ndim is None or ndim >= self.min_ndim)
        return fits and fnmatch.fnmatchcase(name, self.match)


class Optimizer(BaseModel, ABC):
    """An optimizer's specification.

    Hyperparameters that may differ between trials or move with the step are named by `scheduled`;
    all others are the same for every trial that trains in one batch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    #: Fields that may vary per trial and per step, besides `lr`; the same keys in torch's param groups.
    scheduled: ClassVar[tuple[str, ...]] = ("weight_decay",)
    #: Which hyperparameter a schedule's momentum cycle drives ("momentum" or "beta1"), if any.
    momentum_key: ClassVar[str | None] = None
    #: Whether there is a pure update of stacked parameters (`init_state`, `update`).
    stackable: ClassVar[bool] = True
    #: Names of the rules that update parameters, where there is more than one: the first is that of all others.
    rules: ClassVar[tuple[str, ...]] = ()
    #: Groups that stand after the user's own, for an optimizer that treats parameters by their shape.
    default_groups: ClassVar[tuple[ParamGroup, ...]] = ()
    #: What `lrtool init` writes in place of the fields' defaults.
    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.1}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.stackable and (cls.update is Optimizer.update or cls.init_state is Optimizer.init_state):
            raise TypeError(f"{cls.__name__} has no `init_state` or `update`; write them, or stackable = False")

    kind: str
    lr: float = Field(gt=0, description="Peak learning rate; the schedule scales it.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay.")
    groups: tuple[ParamGroup, ...] = Field((), description="LR multipliers by parameters' names and shapes.")

    @model_validator(mode="after")
    def _known_rules(self) -> Self:
        for number, group in enumerate(self.groups):
            if group.rule is not None and group.rule not in self.rules:
                known = f"the rules {', '.join(self.rules)}" if self.rules else "one rule for all parameters"
                remedy = f"write rule: {self.rules[0]}" if self.rules else "leave it out"
                raise ValueError(f"{self.kind} has {known}, but groups.{number}.rule is {group.rule!r}; {remedy}")
        return self

    def hyperparameters(self) -> dict[str, float]:
        """The values of the fields that may vary per trial, `lr` left out."""
        return {name: float(getattr(self, name)) for name in self.scheduled}

    def group_of(self, name: str, ndim: int) -> ParamGroup | None:
        """What holds for a parameter: the first of the user's groups with it, over the first default one with it.

        LR multipliers multiply; weight decay and rule are the user's where given.
        """
        return self._merged(self._place(name, ndim))

    def form_of(self, name: str, ndim: int) -> Optimizer:
        """The specification whose stacked form (`init_state`, `update`) a parameter is updated by."""
        if not self.rules:
            return self
        group = self.group_of(name, ndim)
        return self.form(group.rule if group is not None and group.rule is not None else self.rules[0])

    def form(self, rule: str) -> Optimizer:
        """The specification whose stacked form is that of a rule; it knows all `scheduled` hyperparameters of this."""
        return self

    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
        """A torch optimizer whose param groups carry `lr_scale`, and `rule` where there are several.

        Raises UsageError for one of `groups` that matches no parameter.
        """
        members: dict[tuple[int, int], list[torch.nn.Parameter]] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for name, parameter in named_parameters:
            shapes[name] = tuple(parameter.shape)
            if parameter.requires_grad:
                members.setdefault(self._place(name, parameter.ndim), []).append(parameter)
        self._check_groups(shapes)
        return self.torch_optimizer([self._torch_group(place, members[place]) for place in sorted(members)])

    @abstractmethod
    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch's optimizer over these param groups, with this specification's settings."""

    def apply(self, optimizer: torch.optim.Optimizer, lr: float, hyperparameters: Mapping[str, float]) -> None:
        """Set this step's LR (times each group's `lr_scale`) and scheduled hyperparameters."""
        settings = self.to_group(hyperparameters)
        for group in optimizer.param_groups:
            group.update(settings)
            group["lr"] = lr * group["lr_scale"]
            if group["own_weight_decay"] is not None:
                group["weight_decay"] = group["own_weight_decay"]

    def to_group(self, hyperparameters: Mapping[str, float]) -> Mapping[str, Any]:
        """Hyperparameters under the names that torch's param groups give them."""
        return hyperparameters

    def _place(self, name: str, ndim: int) -> tuple[int, int]:
        """The numbers of the first group and the first default group with a parameter; one past the end for none."""
        own, default = (
            next((number for number, group in enumerate(groups) if group.holds(name, ndim)), len(groups))
            for groups in (self.groups, self.default_groups)
        )
        return own, default

    def _merged(self, place: tuple[int, int]) -> ParamGroup | None:
        """Both groups as one; None where there is neither."""
        own, default = (
            groups[number] if number < len(groups) else None
            for groups, number in zip((self.groups, self.default_groups), place, strict=True)
        )
        if own is None or default is None:
            return own or default
        return ParamGroup(
            lr_scale=own.lr_scale * default.lr_scale,
            weight_decay=default.weight_decay if own.weight_decay is None else own.weight_decay,
            rule=default.rule if own.rule is None else own.rule,
        )

    def _check_groups(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for number, group in enumerate(self.groups):
            if not any(group.holds(name, len(shape)) for name, shape in shapes.items()):
                raise _unmatched(group, f"optimizer.groups.{number}", shapes)

    def _torch_group(self, place: tuple[int, int], parameters: list[torch.nn.Parameter]) -> dict[str, Any]:
        group = self._merged(place) or ParamGroup()
        own = group.weight_decay
        return {
            "params": parameters,
            "lr_scale": group.lr_scale,
            "own_weight_decay": own,
            "lr": self.lr * group.lr_scale,
            "weight_decay": self.weight_decay if own is None else own,
            **({"rule": group.rule or self.rules[0]} if self.rules else {}),
        }

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The state of one stacked parameter (trials, …) before the first update; needed where `stackable`."""
        raise _unstacked(self)

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One pure update of a stacked parameter.

        param, grad: (trials, …). step: (trials, 1, …), updates done before this one, float. h: `lr` and the
        `scheduled` hyperparameters, each broadcastable (trials, 1, …). Equals torch's own optimizer for one trial.
        Needed where `stackable`.
        """
        raise _unstacked(self)


def _unmatched(group: ParamGroup, where: str, shapes: Mapping[str, tuple[int, ...]]) -> UsageError:
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


def _unstacked(optimizer: Optimizer) -> NotImplementedError:
    return NotImplementedError(f"{optimizer.kind} has no stacked form")
