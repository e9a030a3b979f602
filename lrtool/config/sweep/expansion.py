"""What one trial of a sweep sets, put into the config that all its trials start from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lrtool.config.override import assign, key_path


def in_order(keys: Iterable[str]) -> list[str]:
    """Dotted keys in the order in which they are set: a section comes before what is in it, its kind first.

    >>> in_order(["optimizer.lr", "schedule", "optimizer", "optimizer.kind"])
    ['schedule', 'optimizer', 'optimizer.kind', 'optimizer.lr']
    """
    return sorted(keys, key=lambda key: (key.count("."), key.rpartition(".")[2] not in ("kind", "use")))


def expanded(
    base: Mapping[str, Any], settings: Mapping[str, Any], place: Callable[[str], str] = lambda key: "sweep"
) -> dict[str, Any]:
    """The data of `base`, or of some of its sections, with other values at dotted keys; `base` stays as it is.

    `place` says where a key was given. Raises ConfigError where one leads nowhere.

    >>> expanded({"optimizer": {"kind": "sgd"}, "schedule": "cosine"}, {"optimizer.lr": 1.0, "schedule.final": 0.1})
    {'optimizer': {'kind': 'sgd', 'lr': 1.0}, 'schedule': {'kind': 'cosine', 'final': 0.1}}
    """
    data = copy.deepcopy(dict(base))
    for key in in_order(settings):
        assign(data, key_path(key), copy.deepcopy(settings[key]), place(key))
    return data
