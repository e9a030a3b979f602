"""What every pruner shares: the rungs, and the question who goes on from one. A pruner judges; it trains nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

#: The loss at a rung by variant, in the order in which they got there; infinite where a trial diverged or failed.
Losses = dict[str, float]


@dataclass
class Rivals:
    """What is known of the rivals at one rung.

    `losses`: of all that have ever got there. `promoted`: those that have gone on from it.
    """

    losses: Losses = field(default_factory=dict)
    promoted: set[str] = field(default_factory=set)


class Pruner(BaseModel, ABC):
    """Gives up early on variants that lag behind: all are trained briefly, the best go on, and so on to full length.

    With factor 3 and 2 rungs all train for 1/9 of the run, the best third for 1/3, the best ninth to the end. Every
    length starts anew, so that trials do not depend on what was pruned. Variants are judged with all their seeds.
    With sampler: tpe the samples of one variant and grid point are rivals, in halving those of one batch; otherwise
    all are.

    Subclasses say who goes on (`chosen`) and in which words the others are given up (`verdict`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    #: Whether variants arrive in batches of `batch`, in an order that is drawn; else all at once.
    in_batches: ClassVar[bool] = False
    #: Whether those not chosen may be chosen later; else they are given up at once.
    patient: ClassVar[bool] = False

    kind: str
    factor: int = Field(3, ge=2, description="One in so many variants goes on.")
    rungs: int = Field(2, ge=1, le=10, description="How often, before the full length.")

    @property
    def fractions(self) -> list[float]:
        """The part of the run that each rung trains."""
        return [float(self.factor) ** -left for left in range(self.rungs, 0, -1)]

    @property
    def share(self) -> float:
        """About which part of all updates is left: (rungs + 1) / factor^rungs.

        Every rung, and the full length, costs as much as the first rung.
        """
        return (self.rungs + 1) / float(self.factor) ** self.rungs

    @property
    @abstractmethod
    def verdict(self) -> str:
        """Why a variant is given up, as a clause."""

    @abstractmethod
    def chosen(self, rivals: Rivals, arrived: Set[str], last: bool) -> list[str]:
        """Who goes on from a rung, of those that have not gone on before.

        `arrived`: the variants that have got there now; `last`: no more will come.
        """


def best(losses: Losses, count: int) -> list[str]:
    """So many variants with the lowest losses; of equals, those that came first."""
    return sorted(losses, key=losses.__getitem__)[:count]
