"""An optimizer of the user's own, or one of torch's or of a package's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from lrtool.errors import TaskError, UsageError
from lrtool.optimizers.base import Optimizer
from lrtool.optimizers.parts.groups import Placed
from lrtool.optimizers.parts.layers import Parameters
from lrtool.optimizers.parts.together import together

if TYPE_CHECKING:
    import torch

_EXAMPLE = "write adamw, or an optimizer whose step() needs nothing"


class UseOptimizer(Optimizer):
    """A class or function that returns a `torch.optim.Optimizer`, trained by the loop engine.

    `{use: "my_opt.py:Ranger", args: {betas: [0.9, 0.99]}, lr: 0.01}`: it is called with param groups, `lr` (where it
    takes one) and `args`. `torch.optim:NAdam` needs no leave, other packages are named by `--allow-import`. The
    schedule moves the LR of its param groups; `groups` and `layer_decay` work as everywhere. Its state is kept in
    checkpoints: tensors, numbers, texts, and lists and mappings of these. An optimizer whose `step` needs a closure
    (LBFGS) is refused. `torch.optim:SparseAdam` updates embeddings with sparse gradients, and torch.optim.Adam of the
    same settings all else. What has methods `train` and `eval` is switched as schedule-free optimizers are.
    """

    stackable: ClassVar[bool] = False
    scheduled: ClassVar[tuple[str, ...]] = ()

    kind: Literal["use"] = "use"
    use: str = Field(
        description="'file.py:Name' beside the config, 'torch.optim:Name', 'package:Name' (--allow-import)."
    )
    args: dict[str, Any] = Field({}, description="Keyword arguments of the class or function, besides lr.")
    weight_decay: float = Field(
        0.0, ge=0, description="Weight decay, where it takes one; 0: as args or its default say."
    )

    _made_by: Callable[..., Any] | None = PrivateAttr(None)

    def with_code(self, load: Callable[[str], Any]) -> Self:
        """The same, knowing the class or function; raises UsageError where it is none or cannot be called so."""
        found = load(self.use)
        if not callable(found):
            raise UsageError(f"{self.use} is no class or function", where="optimizer.use", remedy="name what makes it")
        if isinstance(found, type):
            _refuse_closure(self.use, found)
        copy = self.model_copy()
        copy._made_by = found
        copy._check_arguments(found)
        return copy

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """What the target makes of the param groups; TaskError where it fails or makes no optimizer."""
        from torch.optim import Adam, SparseAdam

        found = self._made_by
        assert found is not None, "with_code comes first"
        if found is not SparseAdam:
            return self._made(found, groups)
        by = {"sparse": SparseAdam, "dense": Adam}
        parts = {rule: [group for group in groups if group["rule"] == rule] for rule in by}
        return together({rule: self._made(by[rule], held) for rule, held in parts.items() if held})

    def placed(self, parameters: Parameters) -> dict[str, Placed]:
        """Also: which parameters are SparseAdam's, and which are for Adam beside it."""
        placed = super().placed(parameters)
        if not self.use.endswith(":SparseAdam"):
            return placed
        sparse = {name: "sparse" if name in parameters.sparse else "dense" for name in placed}
        return {name: each._replace(rule=sparse[name]) for name, each in placed.items()}

    def _made(self, found: Callable[..., Any], groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of these param groups."""
        from torch.optim import Optimizer as TorchOptimizer

        try:
            made = found([self._own(group) for group in groups], **self._arguments(found))
        except Exception as error:
            text = " ".join(str(error).split())
            raise TaskError(f"{self.use} raised {type(error).__name__}: {text}", where="optimizer.use") from error
        if not isinstance(made, TorchOptimizer):
            raise TaskError(
                f"{self.use} returned {type(made).__name__}, not a torch.optim.Optimizer",
                where="optimizer.use",
                remedy="derive it from torch.optim.Optimizer",
            )
        _refuse_closure(self.use, type(made))
        return made

    def _own(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """A param group without a weight decay that nobody asked for."""
        asked = self.weight_decay > 0 or group["own_weight_decay"] is not None
        return {name: value for name, value in group.items() if name != "weight_decay" or asked}

    def _arguments(self, found: Callable[..., Any]) -> dict[str, Any]:
        """The keyword arguments of the target: `args`, and `lr` where it takes one."""
        return {"lr": self.lr, **self.args} if _takes(found, "lr") else dict(self.args)

    def _check_arguments(self, found: Callable[..., Any]) -> None:
        for key in ("lr", "weight_decay"):
            if key in self.args and (key == "lr" or self.weight_decay):
                raise UsageError(
                    f"{key} stands in args and beside it", where=f"optimizer.args.{key}", remedy=f"keep optimizer.{key}"
                )
        try:
            signature = inspect.signature(found)
        except (TypeError, ValueError):
            return
        try:
            signature.bind([], **self._arguments(found))
        except TypeError as error:
            name = self.use.rpartition(":")[2]
            raise UsageError(
                f"{self.use} does not take these args: {error}",
                where="optimizer.args",
                remedy=f"its signature is {name}{signature}",
            ) from None


def _takes(found: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(each.name == name or each.kind is each.VAR_KEYWORD for each in parameters)


def _refuse_closure(target: str, cls: type) -> None:
    """UsageError for an optimizer whose step() evaluates the loss itself, again and again."""
    step = getattr(cls, "step", None)
    parameters = list(inspect.signature(step).parameters.values())[1:] if callable(step) else []
    if any(each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters):
        raise UsageError(
            f"{target} needs a closure that evaluates the loss again, and an update here has one gradient",
            where="optimizer.use",
            remedy=_EXAMPLE,
        )
