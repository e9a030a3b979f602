"""Names that every logger takes, and texts without secrets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

#: What MLflow, the strictest of them, has no place for in a name; a slash divides what dashboards fold.
_UNUSUAL = re.compile(r"[^\w.\- ]+")
_LONGEST = 200
#: Keys whose values nobody else is to see.
_SECRET = re.compile(
    r"(^|_)(api_?key|access_?key|secret|secret_key|password|passwd|credentials?|(auth|access|api|hf|refresh)_token)$"
    r"|^token$",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^/@\s]+@")
#: Environment variables that hold what no message may repeat.
_VARIABLES = ("WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
HIDDEN = "(hidden)"


class Names:
    """What measured things are called in every logger: letters, digits, `_`, `-`, `.` and blanks, no two alike.

    >>> names = Names()
    >>> names["val_f1/macro"], names["val_<b>"], names["val_f1 macro"], names["val_f1?macro"], names["val_loss"]
    ('val_f1_macro', 'val__b_', 'val_f1 macro', 'val_f1_macro-2', 'val_loss')
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """The name for a column of `metrics.csv`; always the same for the same one."""
        if name not in self._known:
            clean, taken = cleaned(name), set(self._known.values())
            tried = (clean if number == 1 else f"{clean}-{number}" for number in range(1, len(taken) + 3))
            self._known[name] = next(each for each in tried if each not in taken)
        return self._known[name]


def cleaned(name: str) -> str:
    """A name with everything unusual in it replaced, and cut where it is long."""
    return _UNUSUAL.sub("_", name).strip(" .")[:_LONGEST] or "_"


def without_secrets(data: Any) -> Any:
    """A copy of a config's data in which passwords and keys are hidden."""
    if isinstance(data, Mapping):
        return {
            key: HIDDEN if _SECRET.search(str(key)) and isinstance(value, str) else without_secrets(value)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [without_secrets(value) for value in data]
    return _USER.sub(f"{HIDDEN}@", data) if isinstance(data, str) else data


def is_secret(key: str) -> bool:
    """Whether a key of this name holds something that nobody else is to see."""
    return bool(_SECRET.search(key))


def shows_secret(text: str) -> bool:
    """Whether a text, as one after `--set`, has a key or an address with a secret in it."""
    return has_password(text) or any(is_secret(word) for word in re.findall(r"\w+(?=\s*[:=])", text))


def has_password(uri: str) -> bool:
    """Whether an address says who one is, as in https://user:password@host."""
    return bool(_USER.search(uri))


def told(error: BaseException) -> str:
    """What an exception says, in a line without secrets."""
    text = " ".join(str(error).split()) or type(error).__name__
    for variable in _VARIABLES:
        if value := os.environ.get(variable):
            text = text.replace(value, HIDDEN)
    text = _USER.sub(f"{HIDDEN}@", text)
    return text if len(text) <= 300 else f"{text[:299]}…"


def flat(data: Any, prefix: str = "") -> dict[str, Any]:
    """Nested data by dotted keys; empty mappings and lists, and what is null, are left out.

    >>> flat({"optimizer": {"lr": 0.1, "groups": []}, "interval": [1, 2]})
    {'optimizer.lr': 0.1, 'interval.0': 1, 'interval.1': 2}
    """
    return dict(_flat(data, prefix))


def _flat(data: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(data, Mapping | list | tuple):
        items = data.items() if isinstance(data, Mapping) else enumerate(data)
        for key, value in items:
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif data is not None:
        yield prefix, data


def is_number(value: object) -> bool:
    """Whether a value of a summary can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_setting(value: Any) -> bool | float | str:
    """A value of a config as what can be sorted by: a number, true or false, or text."""
    if isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
