"""Schedules outside a whole config: as objects, mappings, text such as "cosine warmup=5%", or files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import ValidationError, create_model

from lrtool.config.document import Document, Path_, Place, parse_value, read_document
from lrtool.config.problems import ConfigError
from lrtool.counting import counted, durations, said
from lrtool.errors import ScheduleError, UsageError
from lrtool.optimizers import ParamGroup
from lrtool.schedules import KINDS, Curve, Schedule
from lrtool.units import Duration

if TYPE_CHECKING:
    from lrtool.config.schema import Config

#: What can stand for a schedule.
ScheduleLike = Schedule | Mapping[str, Any] | Sequence[Any] | str | Path

#: What a config of a whole training run has, and a file with a schedule alone does not.
_WHOLE = frozenset({"model", "extends"})
#: What only reading the whole config gets right.
_NEEDS_ALL = frozenset({"extends", "schedules"})
_FILE = re.compile(r"\.ya?ml$|[/\\]")
#: What parts a kind or file and its fields in a text.
_BEFORE_FIELD = re.compile(r"\s+(?=[\w.]+=)")
#: What errors show as a field with its value.
_EXAMPLE = "warmup=5%"


@dataclass(frozen=True)
class Spec:
    """Every schedule of a run, with what was said about the run; None is what was not said.

    `others`: schedules of further hyperparameters by name, `peaks`: the values that these scale. `momentum_key`: what
    the optimizer calls its momentum; None where it has none. `groups`: parameters with LRs of their own, by what these
    are called.
    """

    name: str
    schedule: Schedule
    others: Mapping[str, Schedule] = field(default_factory=dict)
    peaks: Mapping[str, float] = field(default_factory=dict)
    lr: float | None = None
    duration: Duration | None = None
    steps_per_epoch: int | None = None
    momentum_key: str | None = "momentum"
    groups: Mapping[str, ParamGroup] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config, name: str = "", steps_per_epoch: int | None = None) -> Self:
        """The schedules of a whole config."""
        optimizer = config.optimizer
        return cls(
            name,
            config.schedule,
            config.schedules,
            optimizer.hyperparameters(),
            optimizer.lr,
            config.train.duration,
            steps_per_epoch,
            optimizer.momentum_key,
            optimizer.lr_columns(),
        )

    def curves(self, lr: float, steps: int) -> dict[str, Curve]:
        """The curve of the LR and, under their names, those of the other hyperparameters that move.

        This is what an engine trains by and what a preview draws. Raises ScheduleError, which names the whole key
        (`schedules.momentum.warmup`), where a field does not fit the run.
        """
        per_epoch = self.steps_per_epoch
        with _inside("schedule"):
            curves = {"lr": self.schedule.bind(lr, steps, per_epoch)}
            momentum = self.schedule.bind_momentum(lr, steps, per_epoch)
        if self.momentum_key is not None and momentum is not None:
            curves[self.momentum_key] = momentum
        for name, schedule in self.others.items():
            with _inside(f"schedules.{name}"):
                curves[name] = schedule.bind(self.peaks[name], steps, per_epoch)
        return curves | {name: self._group_curve(name, lr, steps) for name in self.groups}

    def _group_curve(self, name: str, lr: float, steps: int) -> Curve:
        """The LR of a group: by its schedule or the run's, from its own peak or its multiple of the run's."""
        group = self.groups[name]
        key = f"optimizer.groups.{name.rpartition('_')[2]}.schedule" if group.schedule is not None else "schedule"
        peak = group.peak(lr)
        if peak == 0:
            return Curve(np.zeros_like, steps, 0.0)
        with _inside(key):
            return (group.schedule or self.schedule).bind(peak, steps, self.steps_per_epoch)


@contextmanager
def _inside(key: str) -> Iterator[None]:
    """Errors of a schedule name the whole key of its field."""
    try:
        yield
    except ScheduleError as error:
        where = f"{key}.{error.where}" if error.where else key
        raise ScheduleError(error.what, where=where, remedy=error.remedy) from None


def as_schedule(given: ScheduleLike) -> Schedule:
    """The schedule that an object, a mapping, a list of segments, a text or a YAML file stands for.

    A text is a kind and its fields, "cosine warmup=5%", or the path of a file. Raises UsageError where it is no
    schedule, with every problem found.
    """
    # What `lrtool.schedule` gives has its schedule inside.
    given = getattr(given, "schedule", given)
    if isinstance(given, Schedule):
        return given
    if isinstance(given, Path) or (isinstance(given, str) and _FILE.search(given.partition("=")[0])):
        return _read(Path(given), ()).schedule
    if isinstance(given, str):
        return parse_items(words(given))[0].schedule
    if not isinstance(given, Mapping | Sequence):
        raise UsageError(
            f"{given!r} cannot stand for a schedule", remedy='write for example {"kind": "cosine", "warmup": "5%"}'
        )
    plain = dict(given) if isinstance(given, Mapping) else list(given)
    return _validated(Document({"schedule": plain}, {("schedule",): Place("schedule")}))


def words(text: str) -> list[str]:
    """A kind or file and its fields, written as one text, as a command line has them.

    >>> words("multistep milestones=[50%, 75%] warmup=5%")
    ['multistep', 'milestones=[50%, 75%]', 'warmup=5%']
    """
    return _BEFORE_FIELD.split(text.strip())


def parse_items(items: Iterable[str]) -> list[Spec]:
    """The schedules of a command line: `KIND [KEY=VALUE …]` or `CONFIG [KEY=VALUE …]`, again and again.

    Values are YAML. Keys are fields of the schedule; a dot leads into a field (`schedule.final=1%`).
    """
    groups: list[tuple[str, list[str]]] = []
    for item in items:
        key, equals, _ = item.partition("=")
        if not equals:
            _refuse_bare_field(item, groups)
            groups.append((item, []))
        elif not groups:
            raise UsageError(
                f"{item!r} is a field, but no schedule stands before it",
                remedy=f"name one first, for example: cosine {item}",
            )
        elif not key.strip():
            raise UsageError(f"{item!r} has no key", remedy=f"write KEY=VALUE, for example {_EXAMPLE}")
        else:
            groups[-1][1].append(item)
    return _told_apart([_item(head, fields) for head, fields in groups])


def _refuse_bare_field(item: str, groups: Sequence[tuple[str, list[str]]]) -> None:
    """UsageError where a word without `=` is a field of the schedule before it, rather than the next one."""
    before = KINDS.kinds.get(groups[-1][0]) if groups else None
    if before is not None and item in before.model_fields and item not in KINDS.kinds and not Path(item).is_file():
        raise UsageError(f"{item!r} is a field of {groups[-1][0]} and has no value", remedy=f"write {item}=VALUE")


def _item(head: str, fields: list[str]) -> Spec:
    if _FILE.search(head) or (head not in KINDS.kinds and Path(head).is_file()):
        return _read(Path(head), fields)
    KINDS[head]  # a name that is unknown is told apart from a field that is
    document = Document({"schedule": {"kind": head}}, {("schedule",): Place(head)})
    _fill(document, fields)
    return Spec(" ".join([head, *fields]), _validated(document))


def _read(path: Path, fields: Sequence[str]) -> Spec:
    document = read_document(path)
    name = " ".join([path.stem, *fields])
    if _WHOLE & document.data.keys():
        quick = None if fields or _NEEDS_ALL & document.data.keys() else _parts(document, path.resolve().parent)
        if quick is not None and not any(durations(quick)):
            return Spec.of(quick, name)
        from lrtool.config.load import load_config

        config = load_config(path, [f"schedule.{each}" for each in fields])
        return Spec.of(counted(config, said(config)), name)
    if "schedule" in document.data:
        data, places = document.data["schedule"], _below(document, ("schedule",))
    else:
        data, places = document.data, {("schedule", *at): place for at, place in document.places.items()}
    if not isinstance(data, str | list | dict):
        raise ConfigError.one(
            str(document.place(("schedule",))), "schedule", f"a schedule is a kind or a mapping, but got {data!r}",
            "write for example schedule: {kind: cosine, warmup: 5%}",
        )  # fmt: skip
    own = Document({"schedule": {"kind": data} if isinstance(data, str) else data}, places)
    _fill(own, fields)
    return Spec(name, _validated(own, path.resolve().parent))


def _below(document: Document, prefix: Path_) -> dict[Path_, Place]:
    return {at: place for at, place in document.places.items() if at[: len(prefix)] == prefix}


def _parts(document: Document, folder: Path) -> Any:
    """Only what a schedule needs of a whole config, in a third of the time; None where anything is wrong with it."""
    from lrtool import optimizers
    from lrtool.config.settings import Settings, TrainSettings

    parts = create_model(
        "Parts",
        __base__=Settings,
        schedule=(KINDS.annotation(), {"kind": "constant"}),
        schedules=(dict[str, Any], {}),
        optimizer=(optimizers.KINDS.annotation(), ...),
        train=(TrainSettings, TrainSettings()),
    )
    data = {name: document.data[name] for name in parts.model_fields if name in document.data}
    try:
        return parts.model_validate(data, context={"folder": folder})
    except ValidationError:
        return None


def _fill(document: Document, fields: Iterable[str]) -> None:
    """Put KEY=VALUE items into the document's schedule."""
    for item in fields:
        key, _, text = item.partition("=")
        if not text.strip():
            raise UsageError(f"{item!r} has no value", remedy=f"write for example {_EXAMPLE} (null unsets a key)")
        path: Path_ = ("schedule", *(int(part) if part.isdecimal() else part for part in key.strip().split(".")))
        here: Any = document.data
        for at, part in enumerate(path[:-1]):
            here = _entered(here, part, path[: at + 1], item)
        if isinstance(here, list) and not (isinstance(path[-1], int) and path[-1] < len(here)):
            raise ConfigError.one(item, key, f"this is a list of {len(here)}", "number its items from 0")
        here[path[-1]] = parse_value(text, item)
        document.places[path] = Place(item)


def _entered(here: Any, part: str | int, path: Path_, item: str) -> Any:
    """What stands below a key, made a mapping where a kind's name or nothing stands."""
    if isinstance(here, list):
        known = here[part] if isinstance(part, int) and part < len(here) else None
    else:
        known = here.get(part)
    below = {"kind": known} if isinstance(known, str) else known
    if not isinstance(below, dict | list):
        dotted = ".".join(map(str, path))
        what = "nothing is written here yet" if below is None else f"this is {below!r}, not a mapping or list"
        raise ConfigError.one(item, dotted, what, "set it as a whole")
    here[part] = below
    return below


def _validated(document: Document, folder: Path | None = None) -> Schedule:
    context = {} if folder is None else {"folder": folder}
    try:
        schedule: Schedule = _holder().model_validate(document.data, context=context).schedule
    except ValidationError as error:
        from lrtool.config.load import config_error

        raise config_error(error, document) from None
    return schedule


@cache
def _holder() -> Any:
    """A model with nothing but a schedule, so that places in errors start where a config's do."""
    return create_model("Holder", schedule=(KINDS.annotation(), ...))


def _told_apart(specs: list[Spec]) -> list[Spec]:
    """The same with a number after names that come again."""
    names = [spec.name for spec in specs]
    return [
        replace(spec, name=f"{spec.name} ({names[: at + 1].count(spec.name)})") if names.count(spec.name) > 1 else spec
        for at, spec in enumerate(specs)
    ]
