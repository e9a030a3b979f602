"""Whether a task's loss falls along its own gradient, as that of a model that minimises one thing does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.batches import Batches, batch_loss, take
from lrtool.engine.parallel.joining import current
from lrtool.experiments.setup import Setup
from lrtool.tasks.base import seeded_model

#: The parts of the loss that steps along the gradient are to bring it down by; the best of them counts.
_STEPS = (1e-2, 1e-3, 1e-4)
#: So many times less, or more, than the gradient says is not its own loss. Curvature changes it by far less.
_OFF = 3.0
#: Steps that change weights by more than this part say nothing, and neither do gradients that are so small a part of
#: all (or rounding).
_FAR, _SMALL = 0.1, 1e-5


def falls_along_its_gradient(setup: Setup) -> bool:
    """Whether small steps against the gradient, of each of the model's parts, bring a batch's loss down as it says.

    (L(θ) − L(θ − ε·g)) / (ε·|g|²) ≈ 1 for a small ε, where g is what autograd gives for one part of the model

    It does not where parts of the loss are cut off from it (`detach()`), or turned around, as where two networks are
    trained against each other in one loss. Where that cannot be tried, as where no process holds the whole model,
    or shows nothing, nothing is held against it.
    """
    if not current().holds_whole(setup.recipe.device):
        return True
    try:
        with rng.preserved(setup.recipe.device):
            return all(_own(ratios) for ratios in _ratios(setup))
    except Exception:
        # What fails here, and not in training, is this check.
        return True


def _own(ratios: Sequence[float]) -> bool:
    return not ratios or any(1 / _OFF < ratio < _OFF for ratio in ratios)


def _ratios(setup: Setup) -> Iterator[list[float]]:
    """Of each part of the model, what its loss comes down by as a part of what the gradient says."""
    task, device = setup.task.to(setup.recipe.device), setup.recipe.device
    model = seeded_model(task, setup.config.seed).to(device)
    batch = take(task.train, Batches(task, setup.config.seed, device)(0))

    def loss() -> Tensor:
        torch.manual_seed(0)  # the same dropout masks every time
        return batch_loss(task, model, batch)[0]

    before = loss()
    weights = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(before, weights, allow_unused=True)
    gradients = {p: g for p, g in zip(weights, found, strict=True) if g is not None}
    whole, level = _length(list(gradients.values())), before.item()
    for part in _parts(model):
        own = {p: gradients[p] for p in part.parameters() if p in gradients}
        length, size = _length(list(own.values())), _length(list(own))
        if level and math.isfinite(level) and length > _SMALL * whole and math.isfinite(length):
            steps = [abs(level) * step / length**2 for step in _STEPS]
            near = [step for step in steps if step * length < _FAR * size]
            yield [(level - _after(own, step, loss)) / (step * length**2) for step in near]


def _after(gradients: dict[nn.Parameter, Tensor], step: float, loss: Callable[[], Tensor]) -> float:
    """The loss after a step against the gradient; the weights are then as they were."""
    before = {p: p.detach().clone() for p in gradients}
    with torch.no_grad():
        for p, g in gradients.items():
            p.sub_(step * g)
        after = loss().item()
        for p, weights in before.items():
            p.copy_(weights)
    return after


def _parts(model: nn.Module) -> list[nn.Module]:
    """The modules that the model is made of; of one that holds all others, those inside."""
    parts = list(model.children())
    while len(parts) == 1 and list(parts[0].children()):
        parts = list(parts[0].children())
    return parts or [model]


def _length(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float((t.detach().double() ** 2).sum()) for t in tensors))
