"""What is wrong with a config: all of it at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from lrtool.errors import UsageError
from lrtool.printable import printable


@dataclass(frozen=True)
class Problem:
    """One mistake: `place` (file:line:column), `key`, what is wrong, what to write instead."""

    place: str
    key: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        parts = (self.place, self.key, self.what, self.remedy)
        return "  ".join(printable(part) for part in parts if part)


class ConfigError(UsageError):
    """A config that cannot be used, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def one(cls, place: str, key: str, what: str, remedy: str = "") -> Self:
        """An error of a single problem."""
        return cls([Problem(place, key, what, remedy)])
