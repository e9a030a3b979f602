"""The processes that train one model together, and what they say to each other.

Each process has a number, its rank; the first, rank 0, decides, writes and speaks. A process by itself is `ALONE`, for
which everything here does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.parallel.division import part_of
from lrtool.engine.parallel.rollcall import RollCall, is_of_the_connection
from lrtool.errors import LrtoolError, RankLost


@dataclass(eq=False)
class Ranks:
    """One of `size` processes, number `rank`.

    `scripted`: a user's own script has started them, and put each model on its device. `sharded`: each holds a part of
    the model (FSDP) instead of a copy (DDP). `group`: of torch, whose collectives all
    processes call in the same order. `broken`: a process is gone, so nothing can be said any more.
    """

    rank: int = 0
    size: int = 1
    scripted: bool = False
    sharded: bool = False
    group: Any = None
    roll: RollCall | None = None
    broken: bool = False
    #: The config that is trained, and the code that it may run: what the others are to build, until they know.
    prepared: Any = None
    #: What is known of them, for whoever wants to remember it as long as they are together.
    kept: dict[Any, Any] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.size == 1

    @property
    def writes(self) -> bool:
        """Whether this process keeps what is trained."""
        return self.rank == 0

    def holds_whole(self, device: torch.device) -> bool:
        """Whether this process may hold a whole model on a device: not where each has a part, and a GPU, of its own.

        On the CPU each process has made the whole model before it is spread.
        """
        return not self.sharded or device.type == "cpu"

    @contextmanager
    def together(self, doing: str = "") -> Iterator[None]:
        """Inside, this process waits for the others; RankLost where one does not come, TaskError where one failed."""
        try:
            yield
        except RuntimeError as error:
            if self.alone or not is_of_the_connection(error):
                raise
            raise self.lost(error) from error

    def lost(self, error: BaseException) -> BaseException:
        """What to raise where the connection broke off: the failure of the process that left, or RankLost."""
        self.broken = True
        return (
            self.roll.missing(error) if self.roll is not None else RankLost("another process died or does not answer")
        )

    def is_of_the_connection(self, error: BaseException) -> bool:
        """Whether an error, or what it was made of, came of another process that is gone or does not answer."""
        causes = (error, error.__cause__)
        return not self.alone and any(each is not None and is_of_the_connection(each) for each in causes)

    def failed(self, error: LrtoolError | BaseException) -> None:
        """Leave word of why this process leaves, for those who will miss it."""
        if self.roll is not None:
            self.roll.leave_word(error)

    def part(self, index: Tensor) -> tuple[Tensor, float]:
        """This process's samples of a batch, and the factor that its mean loss has in the mean over the processes."""
        if self.alone:
            return index, 1.0
        part, factor = part_of(len(index), self.rank, self.size)
        return index[part], factor

    def reseed(self, seed: int, step: int, device: torch.device) -> None:
        """What other processes than the first draw (dropout, augmentation) is a pure function of trial, rank, update.

        The first goes on with its own stream, as a process by itself does.
        """
        if self.rank:
            word = np.random.SeedSequence([seed, self.rank, step]).generate_state(1)[0]
            rng.seed_training(int(word), device)

    def total(self, values: Tensor) -> Tensor:
        """The sum over the processes, on each of them; in place where there are others."""
        if not self.alone:
            if self.broken:
                raise RuntimeError("a process is gone")
            with self.together():
                dist.all_reduce(values, group=self.group)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes, on each of them."""
        return values if self.alone else self.total(values) / self.size

    def first(self, value: int) -> int:
        """The whole number that the first process has, on each of them."""
        return value if self.alone else int(self.total(torch.tensor(int(value) if self.rank == 0 else 0)))

    def most(self, value: int) -> int:
        """The largest of the processes' whole numbers, on each of them."""
        if self.alone:
            return value
        found = torch.tensor(value)
        with self.together():
            dist.all_reduce(found, op=dist.ReduceOp.MAX, group=self.group)
        return int(found)

    def gathered(self, value: Any) -> list[Any]:
        """What each process has, by rank, on each of them."""
        if self.alone:
            return [value]
        found: list[Any] = [None] * self.size
        with self.together():
            dist.all_gather_object(found, value, group=self.group)
        return found

    def spread(self, tensor: Tensor) -> Tensor:
        """The first process's tensor, in place, on each of them."""
        if not self.alone:
            with self.together():
                dist.broadcast(tensor, group=self.group, group_src=0)
        return tensor

    def same_buffers(self, model: nn.Module) -> None:
        """Every process has the first one's buffers, such as what batch norm remembers."""
        if not self.alone:
            with torch.no_grad():
                for buffer in model.buffers():
                    self.spread(buffer)


#: A process by itself.
ALONE = Ranks()
