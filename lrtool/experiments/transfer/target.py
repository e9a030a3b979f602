"""What `--to` asks for: values of keys, one by one or those of a second config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrtool.analysis.search.transfer.points import Points
from lrtool.errors import UsageError, nearest
from lrtool.units import number

_LETTERS = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}


def texts_of(to: Sequence[str] | Mapping[str, Any] | str | Path) -> list[str]:
    """Targets as the command line has them, `KEY=VALUE` or a path of a config; UsageError where there is none."""
    if isinstance(to, Mapping):
        texts = [f"{key}={value}" for key, value in to.items()]
    else:
        texts = [str(to)] if isinstance(to, str | Path) else [str(each) for each in to]
    if not texts:
        raise UsageError("no target is given", where="--to", remedy="write for example --to train.duration=50ep")
    return texts


def pairs(texts: Sequence[str]) -> tuple[dict[str, str], list[Path]]:
    """The targets that are `KEY=VALUE`, and the configs; UsageError where one is neither."""
    values: dict[str, str] = {}
    configs: list[Path] = []
    for text in texts:
        key, equals, value = text.partition("=")
        key, value = key.strip(), value.strip()
        if not equals and re.search(r"\.ya?ml$", text):
            configs.append(Path(text))
        elif not equals or not key or not value:
            raise UsageError(
                f"a target is KEY=VALUE, or a config, but got {text!r}",
                where="--to",
                remedy="write for example --to data.batch_size=1024, or --to big.yaml",
            )
        elif key in values and values[key] != value:
            raise UsageError(f"{key} has two targets, {values[key]} and {value}", where="--to", remedy="leave one out")
        else:
            values[key] = value
    return values, configs


def of_points(texts: Sequence[str], points: Points) -> dict[str, float]:
    """The target among points: a number above 0 for each key that moves; a key that stands still may be left out.

    Raises UsageError where a key is no column, has no number, or is missing.
    """
    values, configs = pairs(texts)
    given: dict[str, Any] = {}
    for path in configs:
        given |= {key: value for key in points.keys if (value := _of_config(path, key)) is not None}
    given |= values
    target: dict[str, float] = {}
    for key, value in given.items():
        if key not in points.keys:
            known = ", ".join(points.keys) or "none"
            raise UsageError(
                f"the points have no column {key!r}; their keys are: {known}",
                where=f"--to {key}={value}",
                remedy=nearest(key, points.keys) if points.keys else None,
            )
        target[key] = amount(key, value)
    for key in points.keys:
        if key not in points.moving:
            target.setdefault(key, float(points.of(key)[0]))
        elif key not in target:
            low, high = points.of(key)[0], points.of(key)[-1]
            raise UsageError(
                f"{key} moves in these points, from {low:g} to {high:g}, but has no target",
                where="--to",
                remedy=f"write --to {key}=…, or leave its column out",
            )
    return target


def amount(key: str, value: Any) -> float:
    """A number above 0, also as 20B; UsageError where it is none."""
    text = str(value).strip()
    letter = _LETTERS.get(text[-1:])
    found = number(text) if letter is None else number(text[:-1])
    found = None if found is None else found * (letter or 1.0)
    if found is None or not 0 < found < 1e300:
        raise UsageError(
            f"the LR can be transferred along numbers above 0, but got {text!r}",
            where=f"--to {key}={text}",
            remedy="give a number, such as 1024 or 20B",
        )
    return found


def _of_config(path: Path, key: str) -> Any:
    """What a config says at a dotted key; None where it says nothing, or no number."""
    from lrtool.config.load import load_config

    data: Any = load_config(path).model_dump(mode="json")
    for part in key.split("."):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data if number(data) is not None else None
