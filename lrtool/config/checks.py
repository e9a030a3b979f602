"""What no single field of a config shows: what cannot fit the run, is given twice, or is still to be filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lrtool import units
from lrtool.config.document import Document, Path_, Place
from lrtool.config.messages import problem_at
from lrtool.config.problems import Problem
from lrtool.config.schema import Config
from lrtool.counting import counted, said
from lrtool.errors import ScheduleError, nearest
from lrtool.schedules import Schedule
from lrtool.tasks.datasets import kind_by_name
from lrtool.tasks.metrics import DEFAULTS

Found = Iterator[tuple[Place, Problem]]

#: What `lrtool init` writes where only the user knows the value.
_UNFILLED = "…"


def beyond_fields(config: Config, document: Document) -> Found:
    """Every problem of a config whose fields are right each by itself."""
    for path in flags_for_numbers(document.data, config, ()):
        yield problem_at(path, document, "expected a number, but got true or false", "write for example 1")
    for path in _unfilled(document.data, ()):
        yield problem_at(path, document, f"this is still to be filled in, but got {_UNFILLED!r}", "write its value")
    for path, target in _targets(config):
        if not all(target.rpartition(":")):
            what = f"{target!r} is not a target"
            yield problem_at((*path, "use"), document, what, _as_target(target, path))
    best = config.train.best
    if best not in (known := _judges(config)):
        yield problem_at(("train", "best"), document, f"an evaluation gives no {best!r}", nearest(best, known))
    key = config.optimizer.momentum_key
    if key in config.schedules and _cycles_momentum(config):
        path = ("schedules", str(key))
        yield problem_at(path, document, "the schedule's own momentum cycle drives this already", "remove one of them")
    told = counted(config, said(config))
    for path, schedule, peak in _scheduled(told):
        for where, what, remedy in _misfits(path, schedule, peak, told.train.duration):
            yield problem_at(_as_written(where, document.data), document, what, remedy)
    if config.plateau is not None:
        for where, what, remedy in _too_high(("plateau", "min_lr"), config.plateau.min_lr, config.optimizer.lr):
            yield problem_at(where, document, what, remedy)


def flags_for_numbers(data: Any, made: Any, path: Path_) -> Iterator[Path_]:
    """Where true or false, in the data of a document, was taken for 1 or 0 in what was made of it."""
    if isinstance(data, bool) and isinstance(made, int | float) and not isinstance(made, bool):
        yield path
    elif isinstance(data, dict):
        for key, value in data.items():
            below = made.get(key) if isinstance(made, Mapping) else getattr(made, str(key), None)
            yield from flags_for_numbers(value, below, (*path, key))
    elif isinstance(data, list):
        items = made if isinstance(made, tuple | list) else getattr(made, "segments", ())
        for number, (value, item) in enumerate(zip(data, items, strict=False)):
            yield from flags_for_numbers(value, item, (*path, number))


def _unfilled(data: Any, path: Path_) -> Iterator[Path_]:
    # A file's path has the config's folder before it by now.
    if isinstance(data, str) and re.split(r"[/\\]", data)[-1] == _UNFILLED:
        yield path
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _unfilled(value, (*path, key)) if key != "args" else ()


def _targets(config: Config) -> Iterator[tuple[Path_, str]]:
    """Where the config names code of the user's own."""
    parts: list[tuple[Path_, Any]] = [(("model",), config.model), (("data",), config.data), (("loss",), config.loss)]
    parts.append((("optimizer",), config.optimizer))
    parts += [(("metrics", number), metric) for number, metric in enumerate(config.metrics or ())]
    yield from ((path, part.use) for path, part in parts if hasattr(part, "use"))


def _as_target(written: str, section: Path_) -> str:
    """What to write for something that names no class or function in a file."""
    kind = kind_by_name(written) if section == ("data",) else None
    if kind is not None:
        return f"write data: {{kind: {kind}, path: {written}, …}}"
    name = re.split(r"[/\\]", written)[-1].strip(":")
    if name.endswith(".py"):
        return f"write '{name}:Name', with the class or function of that file"
    module, dot, last = name.rpartition(".")
    return f"write '{module}.py:{last}'" if dot else "write 'file.py:Name' or 'package.module:Name'"


def _judges(config: Config) -> list[str]:
    """What the best weights may be judged by; where metrics are unsaid, which of the defaults depends on the data."""
    metrics = [metric.label for metric in config.metrics or ()]
    if config.metrics is None:
        metrics = list(DEFAULTS)
    return list(dict.fromkeys(["val_loss", "train_loss", *(f"val_{name}" for name in metrics)]))


def _cycles_momentum(config: Config) -> bool:
    """Whether the schedule moves momentum by itself; the length does not matter, so a long one stands for any."""
    try:
        return config.schedule.bind_momentum(config.optimizer.lr, 10**6, 10**3) is not None
    except ScheduleError:
        return False


def _scheduled(config: Config) -> Iterator[tuple[Path_, Schedule, float]]:
    """Every schedule of the config, with the value that it scales."""
    yield ("schedule",), config.schedule, config.optimizer.lr
    for name, schedule in config.schedules.items():
        yield ("schedules", name), schedule, config.optimizer.hyperparameters()[name]
    for number, group in enumerate(config.optimizer.groups):
        peak = group.peak(config.optimizer.lr)
        if group.schedule is not None and peak > 0:
            yield ("optimizer", "groups", number, "schedule"), group.schedule, peak


def _misfits(path: Path_, schedule: Schedule, peak: float, run: units.Duration) -> Iterator[tuple[Path_, str, str]]:
    """Where a schedule cannot fit its run: all of it in a run of known length, what is sure in one of epochs."""
    length = _length(run)
    if length is not None:
        try:
            schedule.bind(peak, length)
        except ScheduleError as error:
            if "unknown here" not in error.what:
                below = str(error.where).split(".") if error.where else []
                where = (*path, *(int(part) if part.isdecimal() else part for part in below))
                yield where, error.what, error.remedy or ""
                return
        else:
            return
    for where, value, is_timescale in _quantities(path, schedule):
        if isinstance(value, units.Level):
            yield from _too_high(where, value, peak)
        elif not is_timescale:
            yield from _too_long(where, value, run)


def _length(run: units.Duration) -> int | None:
    """Updates of a run, where no data are needed to tell; a run that is too short for any says so elsewhere."""
    try:
        return run.steps() or None
    except ValueError:
        return None


def _quantities(path: Path_, schedule: Schedule) -> Iterator[tuple[Path_, units.Duration | units.Level, bool]]:
    """Durations and levels of a schedule and those inside it; of each, whether it may exceed the run."""
    for name in type(schedule).model_fields:
        field = getattr(schedule, name)
        for where, value in (
            (((*path, name, i), item) for i, item in enumerate(field))
            if isinstance(field, tuple)
            else [((*path, name), field)]
        ):
            if isinstance(value, Schedule):
                yield from _quantities(where, value)
            elif isinstance(value, units.Duration | units.Level):
                yield where, value, name in schedule.timescales


def _too_high(where: Path_, level: units.Level, peak: float) -> Iterator[tuple[Path_, str, str]]:
    if level.fraction(peak) > 1:
        what = f"must not be above the peak of {peak:g}, but got {level.written()!r}"
        yield where, what, f"write at most {peak:g} or '100%', or raise the peak"


def _too_long(where: Path_, value: units.Duration, run: units.Duration) -> Iterator[tuple[Path_, str, str]]:
    """A part of the run above 100%, or more epochs than it has: too long however many updates an epoch is."""
    if value.unit == "percent" and value.amount > 100:
        yield where, f"must fit into the run, but got {value.written()!r}", "write at most '100%'"
    if value.unit == run.unit != "steps" and value.amount > run.amount:
        what = f"must fit into the run of {run.written()!r}, but got {value.written()!r}"
        yield where, what, f"write at most {run.written()!r}, or a percentage such as '10%'"


def _as_written(path: Path_, data: Any) -> Path_:
    """The path of something in a sequence that was written as a list, which has no key `segments`."""
    written: list[str | int] = []
    for part in path:
        if part == "segments" and isinstance(data, list):
            continue
        written.append(part)
        if isinstance(data, dict):
            data = data.get(part)
        else:
            data = data[part] if isinstance(data, list) and isinstance(part, int) and part < len(data) else None
    return tuple(written)
