"""How to write the same schedule with other libraries.

One table: the tests run every entry against the other library, step by step, and `explain` shows the same
texts. `<name>` marks a parameter (or an expression of parameters); `example` gives it a value for the tests.

Symbols: T updates of the run, W of warm-up, `lr` the peak, other names as the other library calls them.
Every entry describes the whole run from update 0 to T − 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lrtool.report.schedules.equivalent import Equivalent
from lrtool.report.schedules.parity_optax import OPTAX
from lrtool.report.schedules.parity_torch import TORCH
from lrtool.report.schedules.parity_transformers import TRANSFORMERS

EQUIVALENTS: tuple[Equivalent, ...] = (*TORCH, *TRANSFORMERS, *OPTAX)


#: Reduce-on-plateau, here and elsewhere, which is no schedule, and what a config has in its place.
PLATEAU = ("ReduceLROnPlateau", "reduce_lr_on_plateau", "ReduceOnPlateau", "reduce_on_plateau", "plateau")
PLATEAU_HERE = "plateau: {factor: 0.1, patience: 10}"

#: Words in other libraries' names that do not tell schedules apart.
_COMMON = frozenset(
    {
        "get",
        "schedule",
        "scheduler",
        "schedules",
        "lr",
        "with",
        "warmup",
        "warm",
        "up",
        "decay",
        "fn",
        "annealing",
        "fit",
    }
)
#: Names that have no word of the kind's in them: those of papers, fairseq, timm, DeepSpeed, Lightning's bolts.
_NICKNAMES = {
    "sgdr": "cosine_restarts",
    "cosine hard restarts": "cosine_restarts",
    "noam": "inverse_sqrt",
    "poly": "polynomial",
    "stlr": "slanted_triangular",
    "clr": "cyclical",
    "trapezoid": "wsd",
    "trapezoidal": "wsd",
    "linear cosine": "cosine",
    "warmup decay lr": "linear",
    "warmup lr": "constant",
}


def kind_elsewhere(name: str, kinds: Iterable[str]) -> str | None:
    """The kind that another library's name means, or None.

    `CosineAnnealingLR` and `get_cosine_schedule_with_warmup` are found in the tables; of other names, such as
    `warmup_cosine`, the words that are left must be those of one kind.
    """
    words = _words(name.rpartition(".")[2])
    for entry in EQUIVALENTS:
        if _words(entry.plain.split()[0]) == words:
            return entry.kind
    left = words - _COMMON
    nicknames = {frozenset(each.split()): kind for each, kind in _NICKNAMES.items()}
    if (kind := nicknames.get(words) or nicknames.get(left)) is not None:
        return kind
    for entry in EQUIVALENTS:
        if _words(entry.plain.split()[0]) - _COMMON == left and left:
            return entry.kind
    return next((kind for kind in kinds if _words(kind) == left), None)


def _words(name: str) -> frozenset[str]:
    """The words of a name in camel case or with underscores, in lower case."""
    return frozenset(part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name))


def equivalents(kind: str) -> tuple[Equivalent, ...]:
    """The entries of a kind."""
    return tuple(entry for entry in EQUIVALENTS if entry.kind == kind)
