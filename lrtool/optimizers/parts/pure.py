"""A torch optimizer made of the pure update of an optimizer's stacked form: one formula for both engines."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from lrtool.optimizers.base import Optimizer


def pure_optimizer(spec: Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """A torch optimizer that updates each parameter as a stack of one model does.

    For what torch has no class of. The values that may move with the step stand in its param groups by their names.
    """
    made: torch.optim.Optimizer = _class(type(spec).__name__)(spec, groups)
    return made


@cache
def _class(name: str) -> Any:
    """The class that an optimizer of this name is of: a checkpoint tells one from another by it."""
    import torch

    class PureUpdate(torch.optim.Optimizer):
        """Applies `init_state` and `update` of a specification, or of that of a group's rule."""

        def __init__(self, spec: Optimizer, groups: list[dict[str, Any]]) -> None:
            self._spec = spec
            super().__init__(groups, {"lr": spec.lr, **spec.to_group(spec.hyperparameters())})

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            loss = None if closure is None else torch.enable_grad()(closure)()
            for group in self.param_groups:
                form = self._spec if group.get("rule") is None else self._spec.form(group["rule"])
                for p in group["params"]:
                    if p.grad is not None:
                        self._one(form, group, p)
            return loss

        def _one(self, form: Optimizer, group: dict[str, Any], p: torch.Tensor) -> None:
            assert p.grad is not None
            state, param = self.state[p], p.unsqueeze(0)
            if not state:
                state.update(form.init_state(param), step=torch.zeros(()))
            shape = [1] * param.ndim
            names = ("lr", *self._spec.scheduled)
            h = {name: torch.full(shape, float(group[name]), dtype=p.dtype, device=p.device) for name in names}
            held = {name: tensor for name, tensor in state.items() if name != "step"}
            done = state["step"].to(p).reshape(shape)
            after, new = form.update(param, p.grad.unsqueeze(0), held, done, h)
            p.copy_(after.squeeze(0))
            state.update(new)
            state["step"] += 1

    return type(name, (PureUpdate,), {})
