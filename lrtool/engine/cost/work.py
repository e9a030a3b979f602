"""How much work a forward pass is: operators, floating-point operations, bytes, and whether anything is drawn."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from lrtool.engine import private, rng
from lrtool.engine.batches import batch_loss, take
from lrtool.engine.device import intra_threads, math_attention
from lrtool.engine.private import OperatorMode
from lrtool.tasks.base import Task


def draws(func: Any) -> bool:
    """Whether an operator takes values from a random generator."""
    return torch.Tag.nondeterministic_seeded in func.tags


class Witness(OperatorMode):  # type: ignore[no-untyped-call]
    """A context that counts operators, their operations and the bytes they write, and notices random draws.

    `own_generator`: something was drawn from another generator than torch's default one.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.random, self.operators, self.flops, self.bytes = False, 0, 0, 0
        self.own_generator = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Look, and pass on."""
        result = func(*args, **(kwargs or {}))
        if draws(func):
            self.random = True
            self.own_generator = self.own_generator or _owned([*args, *(kwargs or {}).values()])
        self.operators += 1
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        if not func.is_view:
            self.bytes += _size(result)
        return result


def _size(result: Any) -> int:
    """Bytes of the tensors that an operator gave: one, or several in a list."""
    parts = result if isinstance(result, list | tuple) else (result,)
    return sum(t.numel() * t.element_size() for t in parts if isinstance(t, Tensor))


def _owned(given: Sequence[Any]) -> bool:
    """Whether a random operator was given a generator that is not torch's default one."""
    return any(isinstance(each, torch.Generator) and each is not torch.default_generator for each in given)


@dataclass(frozen=True)
class Work:
    """The work of one forward pass of one model; `parameters`: their bytes, `random`: whether anything is drawn.

    `flops`: those of matrix products, convolutions and attention; `bytes`: what all operators write.
    """

    operators: int
    flops: int
    bytes: int
    parameters: int
    random: bool

    @property
    def held(self) -> int:
        """Bytes that one model in training takes, roughly: parameters, gradients, optimizer state, activations."""
        return 8 * self.parameters + 3 * self.bytes


def work_of(task: Task, skeleton: nn.Module, device: torch.device) -> Work:
    """Look at the forward pass of a first batch; raises TaskError where the user's code fails.

    Where torch shows no operators it is guessed: two operations for each parameter and sample.
    """
    held = sum(p.numel() * p.element_size() for p in skeleton.parameters())
    if not private.OPERATORS_SHOWN:
        return Work(0, task.batch_size * held // 2, task.batch_size * held, held, random=True)
    copied = copy.deepcopy(skeleton)  # running statistics change
    batch = take(task.train, torch.arange(task.batch_size, device=device))
    # Threads that wait for each other would only make it slower on a busy machine. Of fused attention not every
    # kernel's operations are known.
    with rng.preserved(device), intra_threads(1), math_attention(), torch.no_grad(), Witness() as seen:
        batch_loss(task, copied, batch)
    return Work(seen.operators, seen.flops, seen.bytes, held, seen.random)
