"""What a search (`range-test`, `tune`) has trained and decided so far, in a journal, so that it can go on.

A search is a function of its trials' traces and of what was measured on the way: how fast the model trains, which
engine is taken, whether time is left. Both are remembered as they come. A search that goes on runs its course from the
beginning again, but takes from here what it knows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.numpy

from lrtool.engine import clock
from lrtool.engine.observer import Observer
from lrtool.engine.trials import Evaluation, Fault, Trace, Trial
from lrtool.runs.journal import Journal, read_journal
from lrtool.status import Status

FILE = "search.journal"
#: What is no column of a trace: JSON, as bytes.
_DOCUMENT = "document"


class SearchMemory:
    """The memory of one search; without a journal it remembers nothing.

    `spent`: seconds that the search had worked, before it was stopped, by the clock that it sets as `clock`.
    `write_seconds`: what it takes to keep something, as each trial is, on this disk; the mean so far.
    """

    def __init__(self, journal: Journal | None = None, records: Sequence[bytes] = ()) -> None:
        self._journal = journal
        self._decisions: dict[str, Any] = {}
        self._traces: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._asked: Counter[str] = Counter()
        self.begun: dict[str, Any] | None = None
        self.spent = 0.0
        self.clock: Callable[[], float] = float
        self._writing, self._writes = 0.0, 0
        for record in records:
            self._take(record)

    @classmethod
    def begin(cls, folder: Path, begun: Mapping[str, Any]) -> Self:
        """A new one, in a folder of checkpoints; `begun`: what is to be known however soon it is stopped."""
        # A folder that is gone is no reason not to begin again; whether it can be written shows by what is written.
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
        memory = cls(Journal(folder / FILE))
        memory._write({"begun": dict(begun)})
        return memory

    @classmethod
    def found(cls, folder: Path) -> tuple[Self, str]:
        """What is there, and in words what was lost of it; `begun` is None where nothing is there."""
        try:
            records, end = read_journal(folder / FILE)
            torn = (folder / FILE).stat().st_size > end.bytes
        except FileNotFoundError:
            return cls(), ""
        lost = f"the end of {FILE} was torn or damaged; what stood there is trained again" if torn else ""
        return cls(Journal(folder / FILE, end), records), lost

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    @property
    def write_seconds(self) -> float:
        """Seconds that a write took, on average."""
        return self._writing / max(1, self._writes)

    def recall(self, key: str) -> Any:
        """What was decided under this key the n-th time that it is asked for; None if nothing."""
        self._asked[key] += 1
        return self._decisions.get(f"{key}#{self._asked[key]}")

    def remember(self, key: str, value: Any) -> None:
        """Remember what was decided after `recall` gave nothing."""
        self._write({"decided": f"{key}#{self._asked[key]}", "value": value})

    def decide(self, key: str, measure: Callable[[], Any]) -> Any:
        """What was decided before, or is now: a JSON value."""
        value = self.recall(key)
        if value is None:
            value = measure()
            self.remember(key, value)
        return value

    def pace(self, number: int) -> tuple[int, int] | None:
        """Batches of a trial's epochs, and of its updates; None where that is not known."""
        found = self._traces.get(number, ({}, {}))[0].get("pace")
        return (int(found[0]), int(found[1])) if found else None

    def known(self, number: int, trial: Trial) -> Trace | None:
        """The trace of a trial that had ended; None where it is to be trained."""
        document, columns = self._traces.get(number, ({}, {}))
        if document.get("trial") != _identity(trial):
            return None
        columns = dict(columns)
        loss, lr, seconds = (columns.pop(name) for name in ("train_loss", "lr", "seconds"))
        evaluations = [Evaluation(**each) for each in document["evaluations"]]
        fault = Fault(**document["fault"]) if document["fault"] is not None else None
        return Trace(
            trial, Status(document["status"]), loss, lr, seconds, document["reason"], fault, columns, evaluations
        )  # fmt: skip

    def all_known(self) -> dict[int, Trace]:
        """Every trace, by the number of its trial, without its curves."""
        found = {}
        for number, (document, _) in sorted(self._traces.items()):
            said = document["trial"]
            trial = Trial(said["seed"], said["steps"], {}, {}, said["label"])
            trace = self.known(number, trial)
            if trace is not None:
                found[number] = trace
        return found

    def keep(self, number: int, trace: Trace, pace: tuple[int, int] = (1, 1)) -> None:
        """Remember the trace of a trial that has ended; `pace`: batches of its epochs, and of its updates."""
        document = {
            "number": number,
            "trial": _identity(trace.trial),
            "pace": [*pace],
            "status": trace.status.value,
            "reason": trace.reason,
            "fault": asdict(trace.fault) if trace.fault is not None else None,
            "evaluations": [asdict(each) for each in trace.evaluations],
        }
        columns = {"train_loss": trace.train_loss, "lr": trace.lr, "seconds": trace.seconds, **trace.recorded}
        self._write(document, {name: np.ascontiguousarray(column) for name, column in columns.items()})

    def _write(self, document: dict[str, Any], columns: Mapping[str, Any] | None = None) -> None:
        if self._journal is None:
            return
        text = json.dumps({**document, "spent": self.clock()}).encode()
        began = clock.worked()
        self._journal.append(_record({**(columns or {}), _DOCUMENT: np.frombuffer(text, dtype=np.uint8)}))
        self._writing, self._writes = self._writing + clock.since(began), self._writes + 1

    def _take(self, record: bytes) -> None:
        columns = safetensors.numpy.load(record)
        document = json.loads(columns.pop(_DOCUMENT).tobytes())
        self.spent = max(self.spent, float(document["spent"]))
        if "begun" in document:
            self.begun = document["begun"]
        elif "decided" in document:
            self._decisions[document["decided"]] = document["value"]
        else:
            self._traces[document["number"]] = document, columns


class TraceKeeper(Observer):
    """Remembers every trial that has ended by itself."""

    def __init__(self, memory: SearchMemory, pace: tuple[int, int]) -> None:
        self._memory, self._pace = memory, pace

    def ended(self, trial: int, trace: Trace) -> None:
        """Remember it, unless it was stopped or failed."""
        if trace.status.is_measured:
            self._memory.keep(trial, trace, self._pace)


def _record(columns: dict[str, Any]) -> bytes:
    return bytes(safetensors.numpy.save(columns))


def _identity(trial: Trial) -> dict[str, Any]:
    return {"seed": trial.seed, "steps": trial.steps, "label": trial.label}
