"""Two optimizers that train one model as one, each the param groups of its rule."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def together(parts: Mapping[str, torch.optim.Optimizer]) -> torch.optim.Optimizer:
    """One optimizer whose groups of each `rule` are updated by the optimizer of that name."""
    made: torch.optim.Optimizer = _class()(parts)
    return made


@cache
def _class() -> Any:
    import torch

    class Together(torch.optim.Optimizer):
        """Holds the param groups and the state of all its parts, so that what sets or saves them sees one optimizer."""

        def __init__(self, parts: Mapping[str, torch.optim.Optimizer]) -> None:
            self._parts = parts
            super().__init__([group for part in parts.values() for group in part.param_groups], {})

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            loss = None if closure is None else torch.enable_grad()(closure)()
            for rule, part in self._parts.items():
                # Loading a state makes new ones, so they are handed over each time.
                part.param_groups = [group for group in self.param_groups if group["rule"] == rule]
                part.state = self.state
                part.step()
            return loss

    return Together
