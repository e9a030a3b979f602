"""Whether a task's models can be trained as a stack: tried, not looked up."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from lrtool.engine import rng
from lrtool.engine.evaluate import batch_loss, check_loss, take
from lrtool.engine.stacking import Stack, Update, Validation, math_attention, obstacle, trial_update, work_of
from lrtool.engine.trials import Recipe
from lrtool.errors import LrtoolError
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.failures import task_error

#: How far a stacked gradient may be from the model's own, as a part of its largest entry: rounding, not method.
_TOLERANCE = 1e-3
#: What torch says, and what it means for a model.
_PLAIN = {
    "data-dependent control flow": "the model looks at values, by .item(), float() or an `if` on a tensor",
    "dynamic shape": "the shape of a result depends on values, as with boolean masks, nonzero or unique",
    "Cannot access data pointer": "the model leaves torch, as with .numpy()",
}
#: Sentences of torch's messages that are for its own developers.
_ADVICE = re.compile(r"please|we don't support|github|bug report|performance drop", re.IGNORECASE)


def probe(task: Task, recipe: Recipe, seed: int = 0) -> str | None:
    """Why these models cannot be trained as a stack, naming the line or operator; None if they can.

    Two models make one update and one validation, and loss, gradients and running statistics of the first must be
    those that it has alone. `task` is on the recipe's device. Raises TaskError where the model does not even
    work alone.
    """
    reason = obstacle(task, recipe)
    if reason is not None:
        return reason
    with rng.preserved(recipe.device):
        model = seeded_model(task, seed).to(recipe.device).train()
        alone = copy.deepcopy(model)
        batch = take(task.train, torch.arange(task.batch_size, device=recipe.device))
        loss, _ = batch_loss(task, alone, batch)
        check_loss(loss)
        loss.backward()  # type: ignore[no-untyped-call]
        try:
            with math_attention():
                return _stacked(task, recipe, model, alone, loss.detach())
        except LrtoolError as error:
            return _to_the_point(error)
        except Exception as error:
            return _to_the_point(task_error(error, "training two models as one"))


def _to_the_point(error: LrtoolError) -> str:
    """The line of the user's code, and in a few words what it does that a stack cannot."""
    line = str(error).splitlines()[0]
    place = re.match(r".+?:\d+: ", line)
    for sign, words in _PLAIN.items():
        if place and sign in line:
            return f"{place[0]}{words}"
    sentences = re.split(r"(?<=[.!?])\s+", line)
    return " ".join(each for each in sentences if not _ADVICE.search(each)).rstrip(". ") or line


def _stacked(task: Task, recipe: Recipe, model: nn.Module, alone: nn.Module, loss: Tensor) -> str | None:
    random = work_of(task, model, recipe.device).random
    update = Update(task, recipe, model, random)
    trial_update(update, task, recipe, 2)()
    stack = Stack(model, recipe, 2)
    if task.val is not None:
        with torch.no_grad():
            Validation(task, model)(stack)
    if random:
        return None  # other masks, other gradients: there is nothing to compare
    batch = take(task.train, torch.arange(task.batch_size, device=recipe.device))
    inputs = batch.inputs
    gradients, (losses, buffers) = vmap(
        grad_and_value(update.loss, has_aux=True), in_dims=(0, 0, None, None), randomness="different"
    )(stack.parameters, stack.buffers, inputs, batch.target)[0:2]
    if not _close(losses[0], loss):
        return f"a stacked model's loss is {losses[0].item():.6g}, alone it is {loss.item():.6g}"
    own = {name: p.grad if p.grad is not None else torch.zeros_like(p) for name, p in alone.named_parameters()}
    return _differing("gradient", gradients, own) or _differing("buffer", buffers, dict(alone.named_buffers()))


def _differing(what: str, stacked: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str | None:
    for name, tensor in stacked.items():
        if name in own and not _close(tensor[0].detach(), own[name].detach()):
            return f"a stacked model's {what} of {name} is not the one it has alone"
    return None


def _close(one: Tensor, other: Tensor) -> bool:
    if not one.is_floating_point():
        return torch.equal(one, other)
    scale = other.abs().max().item() if other.numel() else 0.0
    difference = (one - other).abs().max().item() if other.numel() else 0.0
    both_bad = not (torch.isfinite(one).all() or torch.isfinite(other).all())
    return both_bad or difference <= _TOLERANCE * scale + 1e-7
