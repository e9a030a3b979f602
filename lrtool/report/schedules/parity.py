"""How to write the same schedule with other libraries.

One table: the tests run every entry against the other library, step by step, and `explain` shows the same
texts. `<name>` marks a parameter (or an expression of parameters); `example` gives it a value for the tests.

Symbols: T updates of the run, W of warm-up, `lr` the peak, other names as the other library calls them.
Every entry describes the whole run from update 0 to T − 1.
"""

from __future__ import annotations

from lrtool.report.schedules.equivalent import Equivalent
from lrtool.report.schedules.parity_optax import OPTAX
from lrtool.report.schedules.parity_torch import TORCH
from lrtool.report.schedules.parity_transformers import TRANSFORMERS

EQUIVALENTS: tuple[Equivalent, ...] = (*TORCH, *TRANSFORMERS, *OPTAX)


def equivalents(kind: str) -> tuple[Equivalent, ...]:
    """The entries of a kind."""
    return tuple(entry for entry in EQUIVALENTS if entry.kind == kind)
