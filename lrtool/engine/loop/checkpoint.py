"""Checkpoints: the whole state of a trial between two updates, as safetensors and JSON.

Nothing is pickled. A checkpoint is three files: `step-N.safetensors`, `step-N.json` and, when both are on the disk,
`step-N.sha256` with their digests, which are checked before anything is parsed. What grows with the run, the trace,
stands in a journal beside them, to which each checkpoint appends what is new; it says how far its own part goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
from torch import Tensor

from lrtool.engine.loop.trace_journal import TraceMark, append_trace, read_trace
from lrtool.engine.trials import Array, Evaluation
from lrtool.errors import UsageError
from lrtool.runs.atomic import output_error, write_together
from lrtool.runs.journal import Journal
from lrtool.runs.links import check_folder
from lrtool.runs.manifest import digests_in, manifest_of

SCHEMA = 2
#: Those of lrtool 0.1.0: no manifest, and the trace among the tensors.
_WHOLE = 1
#: The journal of the trace.
TRACE = "trace.journal"
_NAME = re.compile(r"step-(\d+)\.(?:json|sha256)")
_PARTS = (".sha256", ".json", ".safetensors")
_REMEDY = "resume from an earlier checkpoint, or start the run again"


@dataclass(frozen=True)
class Checkpoint:
    """A trial after `step` updates.

    `tensors` are on the CPU, their names grouped by a prefix: `model/`, `optimizer/`, `rng/` and `best/`. `details` is
    plain data: trial, optimizer, scaler, plateau, best. `trace`: every column of all updates so far.
    """

    step: int
    tensors: Mapping[str, Tensor]
    details: Mapping[str, Any]
    trace: Mapping[str, Array] = field(default_factory=dict)
    evaluations: Sequence[Evaluation] = ()

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one group, by their names within it."""
        return {name.removeprefix(f"{prefix}/"): t for name, t in self.tensors.items() if name.startswith(f"{prefix}/")}


def save(folder: Path, checkpoint: Checkpoint, keep: int | None = 1) -> Path:
    """Write a checkpoint into a folder, then remove all but the newest `keep` (None: none); gives its JSON file's path.

    Raises OutputError where the folder cannot be written, UsageError where it is a link; the older checkpoints are then
    still there.
    """
    check_folder(folder)
    try:
        # Not its parents: a run folder that has vanished must be noticed.
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from None
    before = _newest_mark(folder, len(next(iter(checkpoint.trace.values()), ())))
    with Journal(folder / TRACE, before.mark) as journal:
        mark = append_trace(journal, before, checkpoint.trace, checkpoint.evaluations)
    document = {"schema": SCHEMA, "step": checkpoint.step, "trace": mark.document(), "details": checkpoint.details}
    stem = f"step-{checkpoint.step:08d}"
    files = {
        f"{stem}.safetensors": safetensors.torch.save({n: t.contiguous() for n, t in checkpoint.tensors.items()}),
        f"{stem}.json": json.dumps(document, indent=1).encode(),
    }
    # The manifest last: where it is, all is there.
    write_together(folder, {**files, f"{stem}.sha256": manifest_of(files)})
    for old in _all(folder)[: -keep if keep else 0]:
        _remove(old)
    return folder / f"{stem}.json"


def amend(path: Path, details: Mapping[str, Any]) -> None:
    """Write a checkpoint's `details` anew, all else as it was; only of those with a manifest. Raises OutputError."""
    document = {**_read_document(path), "details": dict(details)}
    files = {
        path.with_suffix(".safetensors").name: path.with_suffix(".safetensors").read_bytes(),
        path.name: json.dumps(document, indent=1).encode(),
    }
    if document["schema"] != _WHOLE:
        write_together(path.parent, {path.name: files[path.name], f"{path.stem}.sha256": manifest_of(files)})


def found(folder: Path) -> list[Checkpoint]:
    """Every checkpoint of a folder that is not damaged, the newest first."""
    usable = []
    for path in reversed(_all(folder)):
        with contextlib.suppress(DamagedError):
            usable.append(load(path))
    return usable


def latest(folder: Path) -> Path | None:
    """The JSON file of the newest checkpoint in a folder, if there is one; none that was only half written."""
    return next((path for path in reversed(_all(folder)) if _is_whole(path)), None)


def newest_usable(folder: Path) -> tuple[Path, Checkpoint, list[UsageError]]:
    """The newest checkpoint of a folder that is not damaged, and what is wrong with those after it.

    Raises UsageError where there is none, none can be used, or a newer lrtool wrote the newest.
    """
    damaged: list[UsageError] = []
    for path in reversed(_all(folder)):
        try:
            return path, load(path), damaged
        except DamagedError as error:
            damaged.append(error)
    if not damaged:
        raise UsageError("there is no checkpoint in this folder", where=str(folder), remedy="start the run again")
    said = "; ".join(error.what for error in damaged)
    raise UsageError(f"no checkpoint can be used: {said}", where=str(folder), remedy="start the run again")


def set_aside(folder: Path, after: int) -> None:
    """Rename what claims to be a checkpoint of more than `after` updates: it was damaged, and must not be taken."""
    for path in _all(folder):
        if _step(path) > after:
            for part in _PARTS:
                file = path.with_suffix(part)
                if file.is_file():
                    file.replace(file.with_name(f"{file.name}.damaged"))


def remove(folder: Path, after: int) -> None:
    """Remove the checkpoints of more than `after` updates: the run went back before them. Raises OutputError."""
    for path in _all(folder):
        if _step(path) > after:
            _remove(path)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint: a JSON file that `save` wrote, or a folder (its newest that is not damaged).

    Raises UsageError where there is none, it is damaged, or a newer lrtool wrote it.
    """
    if path.is_dir():
        return newest_usable(path)[1]
    document = _read_document(path)
    data = _read(path.with_suffix(".safetensors"), path)
    if hashlib.sha256(data).hexdigest() != _digest_of_tensors(path, document):
        raise _damaged(path, "its tensors are not those that were saved")
    tensors, details = safetensors.torch.load(data), document["details"]
    if document["schema"] == _WHOLE:
        trace = {name.removeprefix("trace/"): t.numpy() for name, t in tensors.items() if name.startswith("trace/")}
        evaluations = [Evaluation(**each) for each in details["evaluations"]]
        return Checkpoint(document["step"], tensors, details, trace, evaluations)
    try:
        columns, evaluated = read_trace(path.parent / TRACE, TraceMark.parse(document["trace"]))
    except (OSError, ValueError) as error:
        raise _damaged(path, f"{TRACE} does not hold the trace up to there ({error})") from None
    # Who was stopped before the first update has columns without a row.
    columns = columns or {name: np.empty(0) for name in details.get("trial", {}).get("columns", ())}
    return Checkpoint(document["step"], tensors, details, columns, evaluated)


class DamagedError(UsageError):
    """A checkpoint is not as it was written."""


def _read_document(path: Path) -> dict[str, Any]:
    manifest = path.with_suffix(".sha256")
    if not path.is_file() and not manifest.is_file():
        raise UsageError("the checkpoint cannot be read (No such file or directory)", where=str(path))
    data = _read(path, path)
    if manifest.is_file() and hashlib.sha256(data).hexdigest() != _digests(path).get(path.name):
        raise _damaged(path, "it is not what was saved")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _damaged(path, "it is not JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise UsageError(
            f"the checkpoint has schema {schema}, but this lrtool reads up to {SCHEMA}",
            where=str(path),
            remedy="update lrtool",
        )
    fields = {"step", "sha256" if schema == _WHOLE else "trace", "details"}
    if schema not in (_WHOLE, SCHEMA) or not fields <= document.keys():
        raise _damaged(path, "it lacks the fields of a checkpoint")
    if schema == SCHEMA and not manifest.is_file():
        raise _damaged(path, f"{manifest.name} is missing")
    return dict(document)


def _digest_of_tensors(path: Path, document: Mapping[str, Any]) -> str | None:
    if document["schema"] == _WHOLE:
        return str(document["sha256"])
    return _digests(path).get(path.with_suffix(".safetensors").name)


def _digests(path: Path) -> dict[str, str]:
    try:
        return digests_in(_read(path.with_suffix(".sha256"), path))
    except ValueError:
        raise _damaged(path, f"{path.stem}.sha256 is no manifest") from None


def _read(file: Path, path: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        what = "its tensors cannot" if file.suffix == ".safetensors" else f"{file.name} cannot"
        raise _damaged(path, f"{what} be read ({error.strerror})") from None


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(f"the checkpoint is damaged: {what}", where=str(path), remedy=_REMEDY)


def _newest_mark(folder: Path, rows: int) -> TraceMark:
    """How far the trace was written when the newest checkpoint was; from the beginning where that had more, or none."""
    for path in reversed(_all(folder)):
        try:
            document = _read_document(path)
            found = TraceMark.parse(document["trace"]) if document["schema"] != _WHOLE else TraceMark()
        except (DamagedError, ValueError):
            continue
        return found if found.rows <= rows else TraceMark()
    return TraceMark()


def _all(folder: Path) -> list[Path]:
    """The JSON files of a folder's checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    steps = {int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    return [folder / f"step-{step:08d}.json" for step in sorted(steps)]


def _is_whole(path: Path) -> bool:
    """Whether all of a checkpoint was written: its manifest comes last. Those of lrtool 0.1.0 have none."""
    if path.with_suffix(".sha256").is_file():
        return True
    with suppress(OSError, ValueError, RecursionError, AttributeError):
        return bool(json.loads(path.read_bytes()).get("schema") == _WHOLE)
    return False


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _remove(path: Path) -> None:
    """Remove a checkpoint, its manifest first. Raises OutputError."""
    for part in _PARTS:
        file = path.with_suffix(part)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(file, error) from None
