"""Run folders and sweeps as one list of outcomes: which settings and seed gave which values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, ValidationError

from lrtool.config.document import read_document
from lrtool.config.override import key_path, located
from lrtool.config.schema import Config
from lrtool.config.sweep.expansion import expanded
from lrtool.errors import UsageError
from lrtool.runs.changes import flattened
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import final_train_loss, read_metrics
from lrtool.status import Status

Array = NDArray[np.float64]

_STORE = "sweep.sqlite"
#: How a trial can end so that it counts; the others were broken off, and their values say nothing.
_MEASURED = [status for status in Status if status.is_measured]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one trained trial: its settings, seed, final values and curve.

    `flat` is its whole config by dotted keys (lists are values), with `variant` where a sweep named it; outcomes with
    the same settings share it. `values`: the final `train_loss`, `val_loss`, `val_<metric>`. `curve`: columns `step`
    (updates done), `seconds`, `lr`, `train_loss`, `val_loss`, each (points,), NaN where not measured.
    `higher_is_better`: what the run says of its metrics, `loss` of its loss where its config leaves that to the
    default; runs of older versions say nothing.
    """

    source: str
    seed: int
    diverged: bool
    values: Mapping[str, float]
    curve: Mapping[str, Array]
    seconds: float
    flat: Mapping[str, Any] = field(repr=False)
    higher_is_better: Mapping[str, bool] = field(default_factory=dict, repr=False)
    loss: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_outcomes(patterns: Sequence[str]) -> tuple[list[Outcome], list[str]]:
    """The outcomes of run folders, sweeps and globs of them, and what a reader should know about them.

    Raises UsageError where a pattern matches nothing, or a folder holds nothing to compare.
    """
    outcomes: list[Outcome] = []
    notes: list[str] = []
    for path in dict.fromkeys(found.resolve() for pattern in patterns for found in _matches(pattern)):
        folder = RunFolder.open(path)
        if folder.path.parent == path:
            notes.append(f"of {path} the newest run is read; write '{path}/*' for all")
        read = _sweep if (folder.path / _STORE).is_file() else _run
        outcomes += read(folder, notes)
    if not outcomes:
        raise UsageError("there is no trained run to compare", remedy="; ".join(notes) or "give run folders")
    return _losses_named(outcomes), notes


def _losses_named(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes, with the loss named by all where some name theirs: the default is the same loss as if it was."""
    if not any("loss.kind" in each.flat for each in outcomes):
        return outcomes
    return [_loss_named(each) if each.loss and each.flat.get("loss", "") is None else each for each in outcomes]


def _loss_named(outcome: Outcome) -> Outcome:
    rest = {key: value for key, value in outcome.flat.items() if key != "loss"}
    return replace(outcome, flat={**rest, **dict(flattened(outcome.loss, "loss"))})


def _matches(pattern: str) -> list[Path]:
    """The folders of a path or a glob. Links such as `latest` lead to folders that are matched themselves."""
    if not any(sign in pattern for sign in "*?[") or Path(pattern).exists():
        return [Path(pattern)]
    start = Path(Path(pattern).anchor)
    found = sorted(start.glob(str(Path(pattern).relative_to(start))))
    folders = [path for path in found if path.is_dir() and (path / "config.yaml").is_file()]
    if not folders:
        what = f"no run folder matches, of {len(found)} files and folders that do" if found else "nothing matches"
        raise UsageError(what, where=pattern, remedy="write for example 'outputs/digits-mlp/*-train'")
    return folders


def _run(folder: RunFolder, notes: list[str]) -> Iterator[Outcome]:
    """The one outcome of a `train` run; of one that has not ended there is none."""
    if not (folder.path / "summary.json").exists():
        notes.append(f"{folder.path} is left out: it was killed, or is still going on (it has no summary)")
        return
    summary = folder.summary()
    if summary["command"] != "train":
        raise UsageError(
            f"this is a {summary['command']} run; runs of train and sweep can be compared", where=str(folder.path)
        )
    if summary["status"] not in _MEASURED:
        notes.append(f"{folder.path} is left out: its status is {summary['status']}")
        return
    folder.verify("config.yaml")
    config = _checked(folder.config, read_document(folder.config).data)
    table = read_metrics(folder.path / "metrics.csv")
    curve: dict[str, Array] = {name: table[name] for name in ("lr", "train_loss", "val_loss") if name in table}
    curve["seconds"] = np.nancumsum(table["seconds"])
    final = summary.get("final") or {}
    values = {name: value for name, value in final.items() if name.startswith("val_") and value is not None}
    losses = table["train_loss"]
    if len(losses):
        values["train_loss"] = final_train_loss(losses)
    yield Outcome(
        source=str(folder.path), seed=config["seed"], diverged=summary["status"] == Status.DIVERGED,
        values=values, curve={"step": table["step"] + 1, **curve}, seconds=summary["seconds"],
        flat=dict(flattened(config)), higher_is_better=_flags(summary.get("higher_is_better")),
        loss=_table(summary.get("loss")),
    )  # fmt: skip


def _sweep(folder: RunFolder, notes: list[str]) -> Iterator[Outcome]:
    """The outcomes of a sweep's trials; those that failed or were pruned are left out and counted in `notes`."""
    from lrtool.runs.sweep.store import HIGHER_IS_BETTER, LOSS, read_fact, read_trials

    folder.verify("config.yaml")
    trials, higher = read_trials(folder.path), _flags(read_fact(folder.path, HIGHER_IS_BETTER))
    loss = _table(read_fact(folder.path, LOSS))
    flat = _Settings(folder.config)
    left_out: dict[str, int] = {}
    for trial in trials:
        if not trial.status.is_measured:
            left_out[trial.status] = left_out.get(trial.status, 0) + 1
            continue
        curve = {name: np.asarray(column, dtype=np.float64) for name, column in trial.curve.items()}
        if "step" in curve:
            # Updates of one trial cost the same.
            curve["seconds"] = curve["step"] * (trial.seconds / max(trial.steps, 1))
        yield Outcome(
            source=f"{folder.path}, trial {trial.number}", seed=flat.seed if trial.seed is None else trial.seed,
            diverged=trial.status is Status.DIVERGED, values=trial.values, curve=curve, seconds=trial.seconds,
            flat=flat.of(trial.settings), higher_is_better=higher, loss=loss,
        )  # fmt: skip
    if not _ended(folder):
        more = f"lrtool sweep --resume {folder.path} trains the rest"
        notes.append(f"{folder.path} has not ended: {len(trials)} trials so far; {more}")
    notes += [f"{count} {status} trials of {folder.path} are left out" for status, count in left_out.items()]


def _flags(found: Any) -> dict[str, bool]:
    """What a file says that is true or false; it may come from anywhere."""
    known = found if isinstance(found, Mapping) else {}
    return {str(name): value for name, value in known.items() if isinstance(value, bool)}


def _table(found: Any) -> dict[str, Any]:
    """What a file says that is a mapping; it may come from anywhere."""
    return {str(name): value for name, value in found.items()} if isinstance(found, Mapping) else {}


def _ended(folder: RunFolder) -> bool:
    """Whether a sweep ran to its end; one that was killed, or is running, has no summary yet."""
    try:
        return bool(folder.summary()["status"] != Status.INTERRUPTED)
    except UsageError:
        return False


class _Editable(Config):
    """A config of which one section may be replaced, and only that one is checked again."""

    model_config = ConfigDict(frozen=False, validate_assignment=True)


def _checked(path: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """A config with every default written out, so that configs of different runs can be held side by side."""
    with _readable(path):
        return Config.model_validate(data).model_dump(mode="json")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(
            f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}", where=str(path),
            remedy="give a run that this version of lrtool wrote",
        ) from None  # fmt: skip


class _Settings:
    """The whole flat configs of a sweep's trials, each combination of settings worked out once.

    Sections of a config do not depend on each other here, so each is checked alone: a grid has few values of each
    section, but many combinations.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data: dict[str, Any] = dict(read_document(path).data.get("base", {}))
        with _readable(path):
            self._config = _Editable.model_validate(self._data)
        self.seed = self._config.seed
        self._base = dict(flattened(self._config.model_dump(mode="json")))
        self._sections: dict[str, dict[str, Any]] = {}
        self._combinations: dict[str, dict[str, Any]] = {}

    def of(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The flat config of a trial with these settings."""
        text = as_text(settings)
        if text not in self._combinations:
            by_section: dict[str, dict[str, Any]] = {}
            for key, value in settings.items():
                by_section.setdefault(key.partition(".")[0], {})[key] = value
            flat = dict(self._base)
            for section, part in by_section.items():
                if section == "variant":
                    flat["variant"] = part["variant"]
                elif section != "seed":
                    flat = {key: value for key, value in flat.items() if key.partition(".")[0] != section}
                    flat.update(self._section(section, part))
            self._combinations[text] = flat
        return self._combinations[text]

    def _section(self, section: str, part: Mapping[str, Any]) -> dict[str, Any]:
        text = as_text(part)
        if text not in self._sections:
            base = {section: self._data[section]} if section in self._data else {}
            settings = {key: located(key_path(key), value, self._path.parent) for key, value in part.items()}
            data = expanded(base, settings, lambda key: str(self._path))
            changed = self._config.model_copy()
            with _readable(self._path):
                setattr(changed, section, data[section])
            written = changed.model_dump(mode="json", include={section})
            self._sections[text] = dict(flattened(written[section], section))
        return self._sections[text]


def as_text(value: Any) -> str:
    """The same text for the same plain data, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, default=str)
