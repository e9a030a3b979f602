"""Which settings of outcomes differ, and whether outcomes may be compared at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrtool.comparison.outcomes import Outcome, as_text
from lrtool.errors import UsageError
from lrtool.printable import one_line

_MISSING = object()
#: Keys that say where, how long a record or under which name; not what was trained.
_NOT_COMPARED = (
    "seed",
    "name",
    "device",
    "range_test",
    "train.eval_every",
    "train.checkpoint_every",
    "train.best",
    "train.grad_norm",
)
LR = "optimizer.lr"


def _compared(key: str) -> bool:
    return not any(key == each or key.startswith(f"{each}.") for each in _NOT_COMPARED)


def differing_keys(outcomes: Sequence[Outcome]) -> list[str]:
    """Dotted keys in which outcomes differ, other than the seed and what does not change training.

    Where the kind of a section differs, its other keys follow from that, unless they differ within a kind too.
    """
    tables = list({id(outcome.flat): outcome.flat for outcome in outcomes}.values())
    keys = [key for key in known_keys(tables) if _compared(key)]
    differing = [key for key in keys if _vary([table.get(key) for table in tables])]
    kinds = {key for key in differing if key.endswith(".kind")}
    return [key for key in differing if key in kinds or _differs_within(tables, key, kinds)]


def known_keys(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every key once; most tables have the same."""
    return list(dict.fromkeys(key for keys in dict.fromkeys(map(tuple, tables)) for key in keys))


def _vary(values: list[Any]) -> bool:
    """Whether any differs from the first; `count` does in one go what takes most of the time of large sweeps."""
    return values.count(values[0]) < len(values)


def _differs_within(tables: Sequence[Mapping[str, Any]], key: str, kinds: set[str]) -> bool:
    """Whether a key, which differs, does so among outcomes whose section is of the same kind."""
    kind = next((each for each in kinds if key.startswith(each.removesuffix("kind"))), None)
    if kind is None:
        return True
    seen: dict[str, set[str]] = {}
    for table in tables:
        seen.setdefault(as_text(table.get(kind)), set()).add(as_text(table.get(key)))
    return any(len(values) > 1 for values in seen.values())


def require_comparable(outcomes: Sequence[Outcome], differing: Sequence[str], keys: Sequence[str]) -> None:
    """Raise UsageError where outcomes trained on other data or by another loss, or another model was not asked for.

    The batch size may differ: it is how the data is used, not which.
    """
    for key in differing:
        section = key.partition(".")[0]
        asked = any(each == "variant" or each.partition(".")[0] == section for each in keys)
        if section not in ("data", "loss", "model", "metrics") or key == "data.batch_size":
            continue
        if section == "model" and asked:
            continue
        first, second = _two_that_differ(outcomes, key)
        raise UsageError(
            f"these runs cannot be compared: {key} is {shown_setting(first, key)} in {first.source},"
            f" but {shown_setting(second, key)} in {second.source}",
            remedy="write --by model to compare models" if section == "model" else f"give runs of the same {section}",
        )


def _two_that_differ(outcomes: Sequence[Outcome], key: str) -> tuple[Outcome, Outcome]:
    first = outcomes[0]
    second = next(each for each in outcomes if as_text(each.flat.get(key)) != as_text(first.flat.get(key)))
    return first, second


def shown_setting(outcome: Outcome, key: str) -> str:
    """A setting of an outcome as text; of a section, all that is below it."""
    value = outcome.flat.get(key, _MISSING)
    if value is _MISSING:
        below = {
            each.removeprefix(f"{key}."): inner for each, inner in outcome.flat.items() if each.startswith(f"{key}.")
        }
        value = below or _MISSING
    if value is _MISSING:
        return "unset"
    return one_line(value) if isinstance(value, str) else json.dumps(value, default=str)
