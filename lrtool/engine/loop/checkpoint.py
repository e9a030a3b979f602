"""Checkpoints: the whole state of a trial between two updates, as safetensors and JSON.

Nothing is pickled. A checkpoint is two files: `step-N.safetensors`, then `step-N.json`, which holds the
digest of the first; each is written aside, fsynced and renamed, so the JSON file exists only when all is there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from lrtool.errors import UsageError
from lrtool.runs.atomic import output_error, write_bytes
from lrtool.runs.links import check_folder

SCHEMA = 1
_NAME = re.compile(r"step-(\d+)\.json")
_REMEDY = "resume from an earlier checkpoint, or start the run again"


@dataclass(frozen=True)
class Checkpoint:
    """A trial after `step` updates.

    `tensors` are on the CPU, their names grouped by a prefix: `model/`, `optimizer/`, `rng/`, `best/` and
    `trace/` (float64 columns). `details` is plain data: trial, optimizer, scaler, plateau, evaluations, best.
    """

    step: int
    tensors: Mapping[str, Tensor]
    details: Mapping[str, Any]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one group, by their names within it."""
        return {name.removeprefix(f"{prefix}/"): t for name, t in self.tensors.items() if name.startswith(f"{prefix}/")}


def save(folder: Path, checkpoint: Checkpoint, keep: int = 1) -> Path:
    """Write a checkpoint into a folder, then remove all but the newest `keep`; gives the path of its JSON file.

    Raises OutputError where the folder cannot be written, UsageError where it is a link; the older checkpoints are then
    still there.
    """
    data = safetensors.torch.save({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()})
    path = folder / f"step-{checkpoint.step:08d}.json"
    document = {
        "schema": SCHEMA,
        "step": checkpoint.step,
        "sha256": hashlib.sha256(data).hexdigest(),
        "details": checkpoint.details,
    }
    text = json.dumps(document, indent=1)
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from None
    write_bytes(path.with_suffix(".safetensors"), data)
    write_bytes(path, text.encode())
    for old in _all(folder)[:-keep]:
        old.unlink(missing_ok=True)
        old.with_suffix(".safetensors").unlink(missing_ok=True)
    return path


def latest(folder: Path) -> Path | None:
    """The JSON file of the newest checkpoint in a folder, if there is one."""
    found = _all(folder)
    return found[-1] if found else None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint: a JSON file that `save` wrote, or a folder (its newest).

    Raises UsageError where there is none, it is damaged, or a newer lrtool wrote it.
    """
    if path.is_dir():
        newest = latest(path)
        if newest is None:
            raise UsageError("there is no checkpoint in this folder", where=str(path), remedy="start the run again")
        path = newest
    document = _read_document(path)
    try:
        data = path.with_suffix(".safetensors").read_bytes()
    except OSError as error:
        raise _damaged(path, f"its tensors cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != document["sha256"]:
        raise _damaged(path, "its tensors are not those that were saved")
    return Checkpoint(document["step"], safetensors.torch.load(data), document["details"])


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"the checkpoint cannot be read ({error.strerror})", where=str(path)) from None
    except ValueError:
        raise _damaged(path, "it is not JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise UsageError(
            f"the checkpoint has schema {schema}, but this lrtool reads up to {SCHEMA}",
            where=str(path),
            remedy="update lrtool",
        )
    if schema != SCHEMA or not {"step", "sha256", "details"} <= document.keys():
        raise _damaged(path, "it lacks the fields of a checkpoint")
    return dict(document)


def _damaged(path: Path, what: str) -> UsageError:
    return UsageError(f"the checkpoint is damaged: {what}", where=str(path), remedy=_REMEDY)


def _all(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    if not folder.is_dir():
        return []
    numbered = [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(numbered)]
