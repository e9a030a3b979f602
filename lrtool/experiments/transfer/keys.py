"""The keys of a config that an LR is transferred along: which may be, their smaller values, and the runs these make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrtool.analysis.search.transfer.design import PARTS
from lrtool.analysis.search.transfer.usual import DURATION
from lrtool.config.schema import Config
from lrtool.errors import UsageError
from lrtool.experiments.setup import Setup, prepare
from lrtool.experiments.transfer.target import amount, pairs
from lrtool.runs.changes import values_by_key
from lrtool.tasks.base import seeded_model
from lrtool.units import number

BATCH = "data.batch_size"
#: Keys below which numbers change how large a run is, and single ones.
_SECTIONS, _SINGLE = ("model.", "optimizer."), (DURATION, BATCH, "train.accumulate")
_NEVER = {"optimizer.lr": "the LR is what is looked for"}
#: Differences between two configs that play no part.
_ASIDE = ("name", "device", "logging", "seed", "optimizer.lr", "range_test", "train.eval_every", "train.best",
          "train.checkpoint_every", "train.grad_norm")  # fmt: skip

#: Gives the checked config with further `KEY=VALUE`.
Configs = Callable[[Sequence[str]], Config]


def targets(texts: Sequence[str], configs: Configs) -> dict[str, str]:
    """What `--to` asks of a config: values by key, those of a second config being where it differs.

    Raises UsageError where an LR cannot be transferred along a key.
    """
    values, files = pairs(texts)
    found: dict[str, str] = {}
    for file in files:
        found |= _differences(configs(()), file)
    found |= values
    if not found:
        raise UsageError("the second config asks for the same run", where="--to", remedy="change a number in it")
    for key, value in found.items():
        _check(key, value)
    return found


def _check(key: str, value: str) -> None:
    where = f"--to {key}={value}"
    if key in _NEVER:
        raise UsageError(_NEVER[key], where=where)
    if key not in _SINGLE and not key.startswith(_SECTIONS):
        what = "changes what the data mean, and losses can then not be compared" if key.startswith("data.") else (
            "does not say how large a run is"
        )  # fmt: skip
        raise UsageError(
            f"{key} {what}",
            where=where,
            remedy=f"an LR can be transferred along {', '.join(_SINGLE)}, model.…, optimizer.…",
        )
    if key != DURATION:
        amount(key, value)


def check_parts(target: Mapping[str, str], config: Config) -> None:
    """Raise UsageError where a key is a part between 0 and 1, such as a momentum: no power of it moves the best LR."""
    for key, value in target.items():
        section: Any = config
        *path, last = key.split(".")
        for part in path:
            section = getattr(section, part, None)
        field = getattr(type(section), "model_fields", {}).get(last)
        bounds = [getattr(each, "lt", getattr(each, "le", None)) for each in getattr(field, "metadata", ())]
        if any(bound is not None and bound <= 1 for bound in bounds):
            raise UsageError(
                f"{key} is a part between 0 and 1 and no size: the best LR follows no power of it",
                where=f"--to {key}={value}",
                remedy="write it into the config, and transfer along a size, or tune",
            )


def levels(target: Mapping[str, str], whole: Setup, configs: Configs) -> dict[str, list[float]]:
    """Three smaller values, ascending, of every key but the duration; UsageError where there are none."""
    found = {}
    for key, text in target.items():
        if key == DURATION:
            continue
        value = amount(key, text)
        if value == int(value):
            parts = next((p for p in (PARTS, tuple(2 * x for x in PARTS)) if value * p[0] >= 1), None)
            values = sorted({max(1.0, float(round(value * part))) for part in parts or ()})
        else:
            values = [value * part for part in PARTS]
        if len(values) < len(PARTS):
            raise UsageError(
                f"{key} = {text} has no three smaller values to measure", where="--to", remedy="choose a larger target"
            )
        found[key] = values
    if BATCH in target and whole.task.batch_size > len(whole.task.train):
        raise UsageError(
            f"a batch of {target[BATCH]} is more than the {len(whole.task.train)} training samples",
            where=f"--to {BATCH}={target[BATCH]}",
            remedy="choose a smaller one",
        )
    return found


def check_sizes(found: Mapping[str, Sequence[float]], setups: Mapping[str, Mapping[float, Setup]]) -> None:
    """Raise UsageError where a model's parameters do not grow with a key of it."""
    for key, values in found.items():
        if not key.startswith("model."):
            continue
        counts = [parameters(setups[key][value]) for value in values]
        if len(set(counts)) < len(counts):
            raise UsageError(
                f"the model has {counts[-1]:,} parameters whatever {key} is: it is no size",
                where=f"--to {key}",
                remedy="name a key that makes the model larger",
            )


def parameters(setup: Setup) -> int:
    """How many the model has."""
    return sum(p.numel() for p in seeded_model(setup.task, setup.config.seed).parameters())


def settings(target: Mapping[str, str], values: Mapping[str, float]) -> list[str]:
    """`KEY=VALUE` of the target, with other values of some keys."""
    return [f"{key}={_written(values[key]) if key in values else text}" for key, text in target.items()]


def built(config: Config, allow_import: Collection[str]) -> Setup:
    """A config's runs; built by whoever needs them."""
    return prepare(config, frozenset(allow_import))


def _written(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _differences(base: Config, file: Path) -> dict[str, str]:
    from lrtool.config.load import load_config

    big = load_config(file)
    one, other = values_by_key(base.model_dump(mode="json")), values_by_key(big.model_dump(mode="json"))
    found: dict[str, str] = {}
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) == other.get(key) or key.startswith(_ASIDE):
            continue
        value = other.get(key)
        if key != DURATION and (number(value) is None or number(one.get(key)) is None):
            raise UsageError(
                f"{file} differs from the config in {key}, which is no number: {one.get(key)!r} there, {value!r} here",
                where="--to",
                remedy="an LR can be transferred along numbers only; make it the same in both",
            )
        found[key] = str(value)
    return found
