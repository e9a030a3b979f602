"""Tasks whose best LR is transferred to a longer run, a larger batch and a wider model.

`DEVELOPED`: methods and their constants were chosen on these. `JUDGED`: they only judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrtool.config.schema import Config

#: What moves, by name: the key, and how many times larger the target is.
TARGETS: dict[str, tuple[str, int]] = {
    "duration x8": ("train.duration", 8),
    "batch x16": ("data.batch_size", 16),
    "width x16": ("model.args.width", 16),
}
_HERE = Path(__file__).parent
_SGD, _ADAM = {"kind": "sgd", "lr": 0.1, "momentum": 0.9}, {"kind": "adamw", "lr": 0.003}
_PLAIN = {"kind": "sgd", "lr": 0.1, "momentum": 0.0}
_COSINE, _LINEAR, _CONSTANT = {"kind": "cosine", "warmup": "5%"}, {"kind": "linear"}, {"kind": "constant"}
_WSD = {"kind": "wsd", "warmup": "5%"}
_DIGITS = ({"kind": "digits"}, 64, 10)
_SPIRALS = ({"kind": "spirals", "samples": 10_000, "noise": 0.05}, 2, 2)
_REGRESSION = ({"kind": "regression", "samples": 10_000, "noise": 0.5}, 16, 1)
_MNIST1D = ({"kind": "mnist1d"}, 40, 10)


def _net(of: tuple[Mapping[str, Any], int, int], optimizer: Mapping[str, Any], schedule: Mapping[str, Any],
         **more: Any) -> dict[str, Any]:  # fmt: skip
    data, inputs, outputs = of
    model = {"use": "sized_net.py:net", "args": {"width": 16, "inputs": inputs, "outputs": outputs, **more}}
    return {"model": model, "data": {**data, "batch_size": 16, "val_fraction": 0.2}, "optimizer": dict(optimizer),
            "schedule": dict(schedule), "train": {"duration": 400, "eval_every": 0}}  # fmt: skip


def _long(*asked: Any) -> dict[str, Any]:
    """Four times as long, on so many samples that even the longest run hardly repeats any."""
    task = _net(*asked)
    return {**task, "data": {**task["data"], "samples": 200_000, "val_fraction": 0.02},
            "train": {"duration": 1600, "eval_every": 0}}  # fmt: skip


def _text(model: Mapping[str, Any], optimizer: Mapping[str, Any], schedule: Mapping[str, Any]) -> dict[str, Any]:
    data = {"kind": "text", "context": 16, "batch_size": 8, "val_fraction": 0.03}
    return {"model": dict(model), "data": data, "optimizer": dict(optimizer), "schedule": dict(schedule),
            "train": {"duration": 300, "eval_every": 0}}  # fmt: skip


DEVELOPED: dict[str, dict[str, Any]] = {
    "digits-sgd": _net(_DIGITS, _SGD, _COSINE),
    "digits-adam-linear": _net(_DIGITS, _ADAM, _LINEAR),
    "spirals-sgd": _net(_SPIRALS, _SGD, _COSINE),
    "regression-adam": _net(_REGRESSION, _ADAM, _COSINE),
    "mnist1d-adam-wsd": _net(_MNIST1D, _ADAM, _WSD),
    "text-transformer-adam": _text({"kind": "transformer", "width": 32, "depth": 1, "heads": 2}, _ADAM, _COSINE),
    "regression-adam-long": _long(_REGRESSION, _ADAM, _LINEAR),
    "spirals-adam-long": _long(_SPIRALS, _ADAM, _LINEAR),
}
JUDGED: dict[str, dict[str, Any]] = {
    "digits-adam": _net(_DIGITS, _ADAM, _COSINE),
    "digits-sgd-constant": _net(_DIGITS, _PLAIN, _CONSTANT),
    "spirals-adam": _net(_SPIRALS, _ADAM, _COSINE),
    "regression-sgd": _net(_REGRESSION, {**_SGD, "lr": 0.01}, _LINEAR),
    "mnist1d-sgd-norm": _net(_MNIST1D, _SGD, _COSINE, norm=True),
    "text-gru-adam": _text({"kind": "gru", "width": 32}, _ADAM, _COSINE),
    "regression-sgd-long": _long(_REGRESSION, {**_SGD, "lr": 0.03}, _COSINE),
    "spirals-sgd-long": _long(_SPIRALS, _SGD, _COSINE),
}
TASKS = {**DEVELOPED, **JUDGED}


def targets(name: str) -> dict[str, tuple[str, int]]:
    """The targets of a task; what is learned from text, which takes long, is only trained longer."""
    return {target: how for target, how in TARGETS.items() if "args" in TASKS[name]["model"] or "duration" in target}


def value(name: str, key: str) -> int:
    """What a task's own config has at a dotted key."""
    found: Any = TASKS[name]
    for part in key.split("."):
        found = found[part]
    return int(found)


def config(name: str, values: Mapping[str, float]) -> Config:
    """A task's config with other values of dotted keys."""
    data: dict[str, Any] = {"name": name, **{section: dict(said) for section, said in TASKS[name].items()}}
    for key, number in values.items():
        *path, last = key.split(".")
        section = data
        for part in path:
            section[part] = dict(section[part])
            section = section[part]
        section[last] = int(number)
    return Config.model_validate(data).beside(_HERE)
