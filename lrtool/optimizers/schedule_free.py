"""Schedule-free SGD and AdamW, through the package of their authors."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.errors import MissingExtraError
from lrtool.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch


class ScheduleFreeSGD(Optimizer):
    """SGD whose answer is an average of its iterates, so that no decay is needed.

    y = (1 − β)·z + β·x;  z ← z − η·(∇L(y) + λ·y);  x ← (1 − c)·x + c·z

    The gradient is taken at y, the answer is x: weights are x while the model is validated or saved, y while it
    trains. c weighs by η², so warm-up counts little. η `lr`, β `momentum`, λ `weight_decay`. Meant for
    `schedule: {kind: constant, warmup: 5%}`. Running statistics of batch norm belong to y, not to x.
    Needs the extra `free`. Source: Defazio et al. 2024, arXiv:2405.15682.
    """

    stackable: ClassVar[bool] = False

    kind: Literal["schedule_free_sgd"] = "schedule_free_sgd"
    momentum: float = Field(0.9, gt=0, lt=1, description="Weight of the average where gradients are taken.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """schedulefree.SGDScheduleFree, in training mode; MissingExtraError without the package."""
        made = _package().SGDScheduleFree(groups, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        return _training(made)


class ScheduleFreeAdamW(Optimizer):
    """AdamW whose answer is an average of its iterates, so that no decay is needed.

    As schedule-free SGD, with the gradient divided by the root of the running mean of its square (decay β₂).

    η `lr`, β `beta1`, λ `weight_decay`. Meant for `schedule: {kind: constant, warmup: 5%}`. Needs the extra
    `free`. Source: Defazio et al. 2024, arXiv:2405.15682.
    """

    stackable: ClassVar[bool] = False
    starting: ClassVar[Mapping[str, Any]] = {"lr": 0.0025}

    kind: Literal["schedule_free_adamw"] = "schedule_free_adamw"
    beta1: float = Field(0.9, gt=0, lt=1, description="Weight of the average where gradients are taken.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Decay of the running mean of the gradient's square.")
    eps: float = Field(1e-8, gt=0, description="Added to the root, so that nothing is divided by zero.")

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """schedulefree.AdamWScheduleFree, in training mode; MissingExtraError without the package."""
        betas = (self.beta1, self.beta2)
        made = _package().AdamWScheduleFree(
            groups, lr=self.lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay
        )
        return _training(made)


def _package() -> ModuleType:
    try:
        import schedulefree
    except ImportError:
        raise MissingExtraError("schedulefree", extra="free", where="optimizer.kind") from None
    return schedulefree  # type: ignore[no-any-return]


def _training(optimizer: Any) -> torch.optim.Optimizer:
    optimizer.train()
    return optimizer  # type: ignore[no-any-return]
