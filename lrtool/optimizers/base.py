"""What every optimizer gives: fields, a torch optimizer for one model, a pure update for many."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from lrtool.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class ParamGroup(BaseModel):
    """Parameters whose names match a pattern get their own LR multiplier (and weight decay)."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    match: str = Field(description="Shell pattern on parameter names, such as 'encoder.*'; the first match wins.")
    lr_scale: float = Field(1.0, ge=0, description="Multiplies the LR of these parameters at every step.")
    weight_decay: float | None = Field(None, ge=0, description="Replaces the optimizer's weight decay here.")


class Optimizer(BaseModel):
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

    kind: str
    lr: float = Field(gt=0, description="Peak learning rate; the schedule scales it.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay.")
    groups: tuple[ParamGroup, ...] = Field((), description="LR multipliers by parameter-name pattern.")

    def hyperparameters(self) -> dict[str, float]:
        """The values of the fields that may vary per trial, `lr` left out."""
        return {name: float(getattr(self, name)) for name in self.scheduled}

    def group_of(self, name: str) -> ParamGroup | None:
        """The first group whose pattern matches a parameter's name."""
        return next((group for group in self.groups if fnmatch.fnmatchcase(name, group.match)), None)

    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
        """A torch optimizer whose param groups carry `lr_scale`.

        Raises UsageError for a pattern in `groups` that matches no parameter.
        """
        members: dict[int, list[torch.nn.Parameter]] = {}
        names = []
        for name, parameter in named_parameters:
            names.append(name)
            if parameter.requires_grad:
                members.setdefault(self._group_number(name), []).append(parameter)
        self._check_groups(names)
        return self.torch_optimizer([self._torch_group(number, members[number]) for number in sorted(members)])

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch's optimizer over these param groups, with this specification's settings."""
        raise NotImplementedError

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

    def _group_number(self, name: str) -> int:
        matches = (number for number, group in enumerate(self.groups) if fnmatch.fnmatchcase(name, group.match))
        return next(matches, len(self.groups))

    def _check_groups(self, names: list[str]) -> None:
        for number, group in enumerate(self.groups):
            if not any(fnmatch.fnmatchcase(name, group.match) for name in names):
                some = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
                raise UsageError(
                    f"the pattern {group.match!r} matches no parameter",
                    where=f"optimizer.groups.{number}.match",
                    remedy=f"the model's parameters are: {some}",
                )

    def _torch_group(self, number: int, parameters: list[torch.nn.Parameter]) -> dict[str, Any]:
        group = self.groups[number] if number < len(self.groups) else ParamGroup(match="*")
        own = group.weight_decay
        return {
            "params": parameters,
            "lr_scale": group.lr_scale,
            "own_weight_decay": own,
            "lr": self.lr * group.lr_scale,
            "weight_decay": self.weight_decay if own is None else own,
        }

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        """The state of one stacked parameter (trials, …) before the first update."""
        raise NotImplementedError

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One pure update of a stacked parameter.

        param, grad: (trials, …). step: (trials, 1, …), updates done before this one, float. h: `lr` and the
        `scheduled` hyperparameters, each broadcastable (trials, 1, …). Equals torch's own optimizer for one trial.
        """
        raise NotImplementedError
