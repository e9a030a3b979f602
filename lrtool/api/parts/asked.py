"""What a function of the API was asked for, made ready to be trained: a config, or a user's own objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.errors import UsageError

if TYPE_CHECKING:
    from lrtool.config.schema import Config
    from lrtool.config.specs import ScheduleLike
    from lrtool.experiments.engines import Engines
    from lrtool.experiments.setup import Setup

#: Settings of single keys of a config: as a mapping, or as texts KEY=VALUE.
Overrides = Mapping[str, Any] | Iterable[str]


@dataclass(frozen=True)
class Objects:
    """A user's own objects, and settings in place of a config's; None where something is not said.

    `model`: a module, or a function that makes one. `optimizer`: a torch optimizer, a function of parameters, or a
    specification. `preserve`: what else is to be left as it is.
    """

    model: Any = None
    data: Any = None
    val: Any = None
    optimizer: Any = None
    loss: Any = None
    schedule: ScheduleLike | None = None
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    preserve: Sequence[Any] = ()
    keep: Any = "auto"

    @property
    def given(self) -> tuple[bool, ...]:
        """Whether each of what says how to train is there."""
        said = (self.model, self.data, self.val, self.optimizer, self.loss, self.schedule, self.seed)
        return (*(each is not None for each in said), bool(self.settings), bool(self.preserve))


@dataclass(frozen=True)
class Asked:
    """What is to be trained, and by which engines.

    `scales`: of a user's own optimizer each group's LR, as so many times the one that is found. `model`: gives the
    model that was trained last, of a user's own. `of_config`: whether it came as a config.
    """

    setup: Setup
    engines: Engines
    scales: tuple[float, ...] = ()
    model: Callable[[], Any] = lambda: None
    optimizer: Any = None
    said: Sequence[str] = ()
    of_config: bool = False


@contextmanager
def asked(
    objects: Objects,
    overrides: Overrides = (),
    allow_import: Iterable[str] = (),
    engine: str = "auto",
    repeats: bool = True,
) -> Iterator[Asked]:
    """Make ready what was asked for; a user's objects are as they were when the context is left.

    `repeats`: trials begin again and again at the present weights. Without it a module that is there is trained for
    good. Raises UsageError where what was given does not go together.
    """
    if is_config(objects):
        yield _of_config(objects, overrides, allow_import, engine)
        return
    if overrides or allow_import:
        raise UsageError("`overrides` and `allow_import` are for configs", remedy="pass the settings as keywords")
    _import_torch()
    from lrtool.api.parts.live import of_factory, of_module, of_trained

    of_instance = of_module if repeats else of_trained
    make = of_instance if _is_module(objects.model) else of_factory
    with make(objects, engine) as ready:
        yield ready


def is_config(objects: Objects) -> bool:
    """Whether a config is meant; UsageError where it comes with what a config has itself."""
    model = objects.model
    if callable(model):
        return False
    if model is not None and not isinstance(model, str | Path | Mapping) and not _is_a_config(model):
        raise UsageError(
            f"expected a model or a config, but got {type(model).__name__}",
            where="model",
            remedy="pass an nn.Module, a function that makes one, or a config as a path or mapping",
        )
    given = [name for name in ("data", "val", "optimizer", "loss", "schedule") if getattr(objects, name) is not None]
    given += list(objects.settings)
    if given:
        what = "a config" if model is not None else "no model"
        raise UsageError(
            f"{', '.join(given)} with {what}",
            where=given[0],
            remedy="pass a model first, or change the config's keys: overrides={'optimizer.lr': 0.1}",
        )
    return True


def _is_a_config(model: Any) -> bool:
    from lrtool.config.schema import Config

    return isinstance(model, Config)


def _is_module(model: Any) -> bool:
    from torch import nn

    return isinstance(model, nn.Module)


def _import_torch() -> None:
    """Whoever has a module has torch; a function that makes one may not have imported it yet."""
    import torch  # noqa: F401


def _of_config(objects: Objects, overrides: Overrides, allow_import: Iterable[str], engine: str) -> Asked:
    config, allowed = read_config(objects.model, overrides, objects.seed), frozenset(allow_import)

    from lrtool.config.started import remember
    from lrtool.engine.trials import EngineName
    from lrtool.experiments.engines import Engines
    from lrtool.experiments.setup import prepare

    engines = Engines(EngineName.parse(engine))
    setup = prepare(config, allowed)
    remember(setup.config, allowed)
    return Asked(setup, engines, of_config=True)


def read_config(given: Any, overrides: Overrides = (), seed: int | None = None) -> Config:
    """The checked config of a path, a mapping or None (the embedded default), with single keys set otherwise.

    Paths in a mapping start from the working folder. Raises ConfigError with every problem.
    """
    from lrtool.config.load import load_config

    texts = as_texts(overrides)
    if isinstance(given, Mapping):
        return _of_mapping(given, texts, seed, Path.cwd())
    if given is not None and not isinstance(given, str | Path):
        # A config that was read already.
        if not texts and seed is None:
            return given  # type: ignore[no-any-return]
        plain = given.model_dump(mode="json")
        return _of_mapping(plain, texts, seed, given.folder).beside(given.folder, given.code_beside)
    return load_config(Path(given) if given is not None else None, texts, seed)


def _of_mapping(given: Mapping[str, Any], overrides: Sequence[str], seed: int | None, folder: Path) -> Config:
    from lrtool.config.document import Document
    from lrtool.config.load import overridden, validate, with_bases
    from lrtool.config.problems import ConfigError

    plain: dict[str, Any] = json.loads(json.dumps(dict(given), default=str))
    document = with_bases(Document(plain), folder / "config")
    refused = overridden(document, overrides, folder)
    if refused:
        raise ConfigError(refused)
    if seed is not None:
        document.data["seed"] = seed
    return validate(document).beside(folder)


def as_texts(overrides: Overrides) -> list[str]:
    """Overrides as the command line has them.

    >>> as_texts({"optimizer.lr": 0.1, "data": {"kind": "digits"}})
    ['optimizer.lr=0.1', 'data={"kind": "digits"}']
    """
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value, default=str)}" for key, value in overrides.items()]
    return [overrides] if isinstance(overrides, str) else list(overrides)
