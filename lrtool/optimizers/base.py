"""What every optimizer gives: fields, a torch optimizer for one model, a pure update for many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lrtool.optimizers.parts.groups import ParamGroup, Placed, lr_column, unmatched
from lrtool.optimizers.parts.layers import Parameters, depths

if TYPE_CHECKING:
    import torch
    from torch import Tensor


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
    #: The norm of the gradients that its refined schedule follows (lrtool.theory.refine): L1 where updates are as large
    #: as the LR whatever the gradient's size, as Adam's.
    refined_by: ClassVar[Literal["l2", "l1"]] = "l1"
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
    layer_decay: float | None = Field(
        None, gt=0, le=1, description="Multiplies the LR once for each layer between a parameter's and the output."
    )
    groups: tuple[ParamGroup, ...] = Field((), description="LRs of their own by parameters' names and shapes.")

    @model_validator(mode="after")
    def _known_rules(self) -> Self:
        for number, group in enumerate(self.groups):
            if group.rule is not None and group.rule not in self.rules:
                known = f"the rules {', '.join(self.rules)}" if self.rules else "one rule for all parameters"
                remedy = f"write rule: {self.rules[0]}" if self.rules else "leave it out"
                raise ValueError(f"{self.kind} has {known}, but groups.{number}.rule is {group.rule!r}; {remedy}")
        return self

    def hyperparameters(self) -> dict[str, float]:
        """The values of the fields that may vary per trial, `lr` left out, and LRs that groups have of their own."""
        values = {name: float(getattr(self, name)) for name in self.scheduled}
        return values | {name: group.peak(self.lr) for name, group in self.lr_columns().items()}

    def lr_columns(self) -> dict[str, ParamGroup]:
        """The groups whose LR is more than a multiple of the optimizer's, by what that LR is called."""
        return {lr_column(number): group for number, group in enumerate(self.groups) if group.has_own_lr}

    def placed(self, parameters: Parameters) -> dict[str, Placed]:
        """What holds for each parameter: the first of the user's groups with it, over the first default one with it.

        LR multipliers multiply, that of `layer_decay` too; weight decay and rule are the user's where given.
        """
        deep = depths(parameters.shapes) if self.layer_decay is not None else {}
        last = max(deep.values(), default=0)
        out = {}
        for name, shape in parameters.shapes.items():
            found = self._merged(self._place(name, len(shape)))
            if self.layer_decay is not None:
                found = found._replace(lr_scale=found.lr_scale * self.layer_decay ** (last - deep[name]))
            out[name] = found._replace(rule=found.rule or self.default_rule(name, parameters))
        return out

    def default_rule(self, name: str, parameters: Parameters) -> str | None:
        """The rule of a parameter for which no group says one; None where there is only one rule."""
        return self.rules[0] if self.rules else None

    def form(self, rule: str | None) -> Optimizer:
        """The specification whose stacked form is that of a rule; it knows all `scheduled` hyperparameters of this."""
        return self

    def with_code(self, load: Callable[[str], Any]) -> Self:
        """The same, with the code that its `use` names; `load` gives what a target stands for."""
        return self

    def build(self, model: torch.nn.Module | Iterable[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
        """A torch optimizer whose param groups carry `lr_scale`, and `rule` where there are several.

        Raises UsageError for one of `groups` that matches no parameter.
        """
        from torch import nn

        named = list(model.named_parameters() if isinstance(model, nn.Module) else model)
        parameters = Parameters.of(model if isinstance(model, nn.Module) else named)
        for number, group in enumerate(self.groups):
            if not any(group.holds(name, len(shape)) for name, shape in parameters.shapes.items()):
                raise unmatched(group, f"optimizer.groups.{number}", parameters.shapes)
        members: dict[Placed, list[torch.nn.Parameter]] = {}
        placed = self.placed(parameters)
        for name, parameter in named:
            if parameter.requires_grad:
                members.setdefault(placed[name], []).append(parameter)
        # None cannot be compared, and what stands after the place is the same or a layer's.
        ordered = sorted(members, key=lambda each: (*each[:2], str(each.rule)))
        return self.torch_optimizer([self._torch_group(each, members[each]) for each in ordered])

    @abstractmethod
    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch's optimizer over these param groups, with this specification's settings."""

    def apply(self, optimizer: torch.optim.Optimizer, lr: float, hyperparameters: Mapping[str, float]) -> None:
        """Set this step's LR (times each group's `lr_scale`) and scheduled hyperparameters."""
        settings = self.to_group(hyperparameters)
        for group in optimizer.param_groups:
            group.update(settings)
            group["lr"] = hyperparameters.get(group.get("lr_column", "lr"), lr) * group["lr_scale"]
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

    def _merged(self, place: tuple[int, int]) -> Placed:
        """Both groups as one."""
        own, default = (
            groups[number] if number < len(groups) else ParamGroup()
            for groups, number in zip((self.groups, self.default_groups), place, strict=True)
        )
        return Placed(
            place,
            lr_scale=default.lr_scale if own.has_own_lr else own.lr_scale * default.lr_scale,
            lr_column=lr_column(place[0]) if own.has_own_lr else "lr",
            weight_decay=default.weight_decay if own.weight_decay is None else own.weight_decay,
            rule=default.rule if own.rule is None else own.rule,
        )

    def _torch_group(self, placed: Placed, parameters: list[torch.nn.Parameter]) -> dict[str, Any]:
        own = placed.weight_decay
        return {
            "params": parameters,
            "lr_scale": placed.lr_scale,
            "lr_column": placed.lr_column,
            "own_weight_decay": own,
            "lr": self.hyperparameters().get(placed.lr_column, self.lr) * placed.lr_scale,
            "weight_decay": self.weight_decay if own is None else own,
            **({"rule": placed.rule} if placed.rule is not None else {}),
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


def _unstacked(optimizer: Optimizer) -> NotImplementedError:
    return NotImplementedError(f"{optimizer.kind} has no stacked form")
