"""A user's own optimizer as the one of a config: the instance itself, a function that makes it, or a specification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from lrtool.errors import UsageError
from lrtool.live.specs import named
from lrtool.optimizers import Optimizer
from lrtool.optimizers.use import UseOptimizer

#: Makes an optimizer of a model's parameters.
Factory = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


class LiveOptimizer(UseOptimizer):
    """An optimizer that is there; groups keep the ratios of their LRs.

    `lr` is the LR of the first group that has one above 0; a group's LR is as many times the one that is set as it was
    before. Trials train one by one, as there is one model. `prepared` is called before each update.
    """

    # Without a default it is no kind of its own that a config could name.
    kind: Literal["use"]
    _build: Callable[[Any], torch.optim.Optimizer] = PrivateAttr()
    _spec: Optimizer | None = PrivateAttr(None)
    _prepared: Callable[[], None] | None = PrivateAttr(None)
    _scales: list[float] = PrivateAttr(default_factory=list)

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, prepared: Callable[[], None] | None = None) -> LiveOptimizer:
        """From an optimizer with its parameters; each trial begins with it as it then is."""
        made = cls(kind="use", use=named(type(optimizer)), lr=base_lr(optimizer))
        made._build, made._scales, made._prepared = (lambda _: optimizer), group_scales(optimizer), prepared
        return made

    @classmethod
    def made_by(cls, factory: Factory, example: nn.Module) -> LiveOptimizer:
        """From a function (or class) of a model's trainable parameters; `example`: a model to make one for."""
        first = _made(factory, example.parameters())
        made = cls(kind="use", use=named(factory), lr=base_lr(first))
        made._build, made._scales = (lambda given: _made(factory, _parameters_of(given))), group_scales(first)
        return made

    @classmethod
    def in_place(cls, spec: Optimizer, prepared: Callable[[], None] | None = None) -> LiveOptimizer:
        """From a specification, for a model of which no copies can be made."""
        shared = {name: getattr(spec, name) for name in ("lr", "weight_decay", "layer_decay", "groups")}
        made = cls(kind="use", use=named(type(spec)), **shared)
        made._build, made._spec, made._prepared = spec.build, spec, prepared
        return made

    def build(self, model: Any) -> torch.optim.Optimizer:
        """The optimizer for a model, or for its named parameters."""
        return self._build(model)

    def with_code(self, load: Callable[[str], Any]) -> Self:
        """The same: its code is there."""
        return self

    def hyperparameters(self) -> dict[str, float]:
        """Those of the specification; those of an optimizer that is there stay as they are."""
        return self._spec.hyperparameters() if self._spec is not None else {}

    def apply(self, optimizer: torch.optim.Optimizer, lr: float, hyperparameters: Mapping[str, float]) -> None:
        """Set every group's LR in proportion."""
        if self._prepared is not None:
            self._prepared()
        if self._spec is not None:
            self._spec.apply(optimizer, lr, hyperparameters)
            return
        set_lrs(optimizer, [lr * scale for scale in self._scales])


def base_lr(optimizer: torch.optim.Optimizer) -> float:
    """The LR that a suggestion is for: that of the first group with one above 0; UsageError where there is none."""
    for lr in _lrs(optimizer):
        if lr > 0:
            return lr
    raise UsageError(
        "the LR of every parameter group is 0, so in what ratio they are is not known",
        where="optimizer",
        remedy="make the optimizer with an LR above 0",
    )


def group_scales(optimizer: torch.optim.Optimizer) -> list[float]:
    """How many times the LR of the first group with one above 0 each group's is."""
    base = base_lr(optimizer)
    return [lr / base for lr in _lrs(optimizer)]


def set_lrs(optimizer: torch.optim.Optimizer, lrs: Sequence[float]) -> None:
    """Set the LR of each group; where it is a tensor, in place."""
    for group, lr in zip(optimizer.param_groups, lrs, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def _lrs(optimizer: torch.optim.Optimizer) -> list[float]:
    """The groups' peak LRs: a scheduler that warms up, or has decayed, keeps them as `initial_lr`."""
    return [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]


def _parameters_of(given: Any) -> Any:
    return given.parameters() if isinstance(given, nn.Module) else [parameter for _, parameter in given]


def _made(factory: Factory, parameters: Any) -> torch.optim.Optimizer:
    made = factory([each for each in parameters if each.requires_grad])
    if not isinstance(made, torch.optim.Optimizer):
        raise UsageError(
            f"the optimizer function gave {type(made).__name__}, not a torch optimizer",
            where="optimizer",
            remedy="return one, as in: lambda parameters: torch.optim.SGD(parameters, lr=0.1)",
        )
    return made
