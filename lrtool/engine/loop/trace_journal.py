"""The trace of a trial on disk: a journal to which each checkpoint appends the updates since the one before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors
import safetensors.numpy

from lrtool.engine.trials import Array, Evaluation
from lrtool.runs.journal import START, Journal, RecordEnd, read_journal

#: What the evaluations are called among the columns: JSON, as bytes.
_EVALUATIONS = "evaluations"


@dataclass(frozen=True)
class TraceMark:
    """How much of a trace is written: so many updates and evaluations, and where the journal ends then."""

    rows: int = 0
    evaluations: int = 0
    mark: RecordEnd = START

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """What `document` gave, read from JSON; ValueError where it is something else."""
        try:
            mark = RecordEnd(int(document["bytes"]), str(document["sha256"]))
            return cls(int(document["rows"]), int(document["evaluations"]), mark)
        except (KeyError, TypeError):
            raise ValueError("it does not say how far it goes") from None

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"rows": self.rows, "evaluations": self.evaluations, **self.mark._asdict()}


def append_trace(
    journal: Journal, before: TraceMark, trace: Mapping[str, Array], evaluations: Sequence[Evaluation]
) -> TraceMark:
    """Append what a trace has beyond what was written `before`; gives the new end. Raises OutputError."""
    rows = len(next(iter(trace.values()), ()))
    if rows == before.rows and len(evaluations) == before.evaluations:
        return before
    text = json.dumps([asdict(each) for each in evaluations[before.evaluations :]])
    new = {name: np.ascontiguousarray(column[before.rows :]) for name, column in trace.items()}
    new[_EVALUATIONS] = np.frombuffer(text.encode(), dtype=np.uint8)
    return TraceMark(rows, len(evaluations), journal.append(safetensors.numpy.save(new)))


def read_trace(path: Path, until: TraceMark) -> tuple[dict[str, Array], list[Evaluation]]:
    """The columns and evaluations of a trace; ValueError where it is damaged, OSError where it cannot be read."""
    if until.mark == START:
        return {}, []
    records, _ = read_journal(path, until.mark)
    parts = [safetensors.numpy.load(each) for each in records]
    evaluations = [Evaluation(**each) for part in parts for each in json.loads(part.pop(_EVALUATIONS).tobytes())]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if len(evaluations) != until.evaluations or any(len(column) != until.rows for column in columns.values()):
        raise ValueError("it has another length than the checkpoint says")
    return columns, evaluations
