"""`summary.json`: what a command found, for scripts to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lrtool.errors import UsageError
from lrtool.reading import MEBI, read_file
from lrtool.runs.atomic import finite
from lrtool.runs.manifest import check_file, check_not_removed
from lrtool.status import Status

#: Raised whenever a key changes its meaning or goes away.
SCHEMA = 1
#: No summary is larger.
_MOST_BYTES = 64 * MEBI


class Summary(BaseModel):
    """The keys every summary has; a command adds its own.

    `steps`: updates done, over all trials. `seconds`: from start to end of the command. `reason`: why the
    status is not `finished`, or why there is no answer; empty otherwise. A number that could not be
    measured, or is not finite, is null.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    schema_: int
    command: str
    status: Annotated[Status, Field(strict=False)]
    reason: str
    steps: int
    seconds: float
    config_hash: str


class SuggestionSummary(Summary):
    """What `range-test`, `tune` and `transfer` add: an LR, or null and the `reason`; its interval, the bounds."""

    suggested_lr: float | None = None
    interval: list[float | None] | None = None
    lower_lr: float | None = None
    upper_lr: float | None = None
    methods: dict[str, Any] | None = None


class TrainSummary(Summary):
    """What `train` adds: losses and metrics at the last and the best evaluation, each with its `step`.

    `lr`: the peak that it trained with; `lr_from`: where that comes from, in words.
    `higher_is_better`: of each metric, whether more of it is better. `units`: what the values of a metric are measured
    in, where the data set standardises its target. `continued`: what was said each time the run went on on another
    curve. `validation_share`: the part of the time that validation took. `diverged_at`: of a run that did, the `step`,
    the `lr` it used, and the `layer` that was first not finite, where that is known.
    """

    lr: float | None = None
    lr_from: str = ""
    final: dict[str, float | None] | None = None
    best: dict[str, float | None] | None = None
    higher_is_better: dict[str, bool] | None = None
    units: dict[str, str] | None = None
    continued: list[str] | None = None
    validation_share: float | None = None
    diverged_at: dict[str, Any] | None = None


_MODELS: dict[str, type[Summary]] = {
    "range-test": SuggestionSummary,
    "tune": SuggestionSummary,
    "transfer": SuggestionSummary,
    "train": TrainSummary,
}


def summary(
    command: str, status: Status, *, reason: str, steps: int, seconds: float, config_hash: str, **results: Any
) -> dict[str, Any]:
    """A summary as a dictionary: the keys every summary has, in order, then the command's own `results`.

    Raises pydantic's ValidationError where a result is not of the kind that scripts rely on.
    """
    document = {
        "command": command,
        "status": status,
        "reason": reason,
        "steps": steps,
        "seconds": round(seconds, 3),
        "config_hash": config_hash,
        **finite(results),
    }
    _validate({"schema": SCHEMA, **document})
    return {"schema": SCHEMA, **document}


def read_summary(path: Path) -> dict[str, Any]:
    """A summary as a dictionary; raises UsageError where it is missing, damaged or from a newer lrtool."""
    try:
        data = read_file(path, _MOST_BYTES)
    except OSError:
        check_not_removed(path)
        raise UsageError(
            "there is no summary; the run may still be going on", where=str(path), remedy="wait, or run again"
        ) from None
    check_file(path, data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError("the summary is damaged: it is not JSON", where=str(path), remedy="run again") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, int):
        raise UsageError("this is not a summary: it has no schema number", where=str(path))
    if schema > SCHEMA:
        raise UsageError(
            f"the summary has schema {schema}, but this lrtool reads up to {SCHEMA}",
            where=str(path),
            remedy="update lrtool",
        )
    try:
        _validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"the summary is damaged: {key}: {first['msg']}", where=str(path), remedy="run again"
        ) from None
    return dict(document)


def _validate(document: dict[str, Any]) -> None:
    # `schema` is taken in pydantic's BaseModel, hence the other name inside.
    fields = {"schema_" if key == "schema" else key: value for key, value in document.items()}
    _MODELS.get(str(document.get("command")), Summary).model_validate(fields)
