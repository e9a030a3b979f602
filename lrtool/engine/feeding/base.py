"""The interface of all feeds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from lrtool.tasks.sources import Batch


class Feed(ABC):
    """The batches m = 0, 1, … of a trial, and the factor of each batch's mean loss."""

    @abstractmethod
    def __call__(self, m: int) -> tuple[Batch, float]:
        """Batch m: the next, or one before once more. Raises TaskError where the user's code fails."""

    def begin(self, m: int) -> None:  # noqa: B027 - most need do nothing
        """Batches before m are not asked for again; those from m on may be, to look for a fault."""

    def passed(self, m: int) -> None:  # noqa: B027
        """The updates before batch m are done; those since `begin` may only be asked for again if `repeats` says so."""

    def repeats(self, m: int) -> bool:
        """Whether batches from m on can be had again."""
        return True

    def state(self) -> dict[str, Any] | None:
        """Where it is, if that does not follow from a batch's number."""
        return None

    def restore(self, state: Mapping[str, Any] | None, m: int) -> None:  # noqa: B027
        """Go on with batch m from what `state` gave. Raises TaskError where the user's loader does not take it."""

    def close(self) -> None:  # noqa: B027
        """End what processes it has."""
