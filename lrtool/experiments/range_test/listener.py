"""What hears of a range test on its way: a base class whose methods do nothing."""

from __future__ import annotations

from lrtool.analysis.range_test_result import RangeTestResult


class Listener:
    """Base of what shows a range test as it goes on: each overrides only what it needs."""

    def announced(self, cost: str, updates: int) -> None:
        """It is about to begin, will cost this (in words), and have about so many updates in all."""

    def expected(self, updates: int) -> None:
        """It turns out to have about so many updates in all."""

    def answered(self, first: RangeTestResult) -> None:
        """The ramp is done and read; this is what it says by itself."""
