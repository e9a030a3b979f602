"""What every logger is: fields of a config, and what it opens for a run."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lrtool.errors import MissingExtraError
from lrtool.loggers.names import is_secret
from lrtool.loggers.records import About, EndedTrial, Ending, Point


class LoggerRun(ABC):
    """A run as a logger keeps it. Its methods are called by one thread, not that of the training; any may raise."""

    @abstractmethod
    def write(self, points: Sequence[Point]) -> None:
        """Measurements were made; they can be seen when this returns."""

    @abstractmethod
    def trial(self, trial: EndedTrial) -> None:
        """A trial of the sweep has ended: make a run of it that compares with the others."""

    @abstractmethod
    def finish(self, ending: Ending) -> None:
        """The command is over: keep plots and summary, let go of files and connections."""


class Logger(BaseModel, ABC):
    """A logger's specification. It knows neither engine nor trials: it is told numbers by name and writes them down.

    Whatever it does happens on a thread of its own, where it may fail or hang: training goes on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    #: The package that it needs, and the extra of lrtool that installs it.
    package: ClassVar[str]
    extra: ClassVar[str]
    #: Modules to import before training, as that takes long.
    modules: ClassVar[tuple[str, ...]] = ()
    #: Points of a series with `every: auto`, of a training and of one of several trials: what writing them costs.
    points: ClassVar[int] = 500
    trial_points: ClassVar[int] = 200
    #: Where its secrets belong.
    secrets: ClassVar[str] = "the environment"

    kind: str
    every: Literal["auto"] | int = Field(
        "auto",
        description="Log every so many updates; auto: every one of a short run, evenly spaced ones of a long one."
        " Evaluations and the last update always.",
    )
    timeout: float = Field(
        15.0, gt=0, description="Seconds that the end of a run waits for it; what is left then is left out."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_secrets(cls, data: Any) -> Any:
        """What a config says is written into run folders, so no key belongs in it."""
        secret = [key for key in data if is_secret(str(key))] if isinstance(data, Mapping) else []
        if secret:
            raise ValueError(f"{secret[0]} does not belong in a config, which every run folder keeps; {cls.secrets}")
        return data

    @field_validator("every", mode="before")
    @classmethod
    def _auto_or_updates(cls, value: object) -> object:
        if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
            return value
        raise ValueError(f"this is auto or a number of updates from 1 on, but got {value!r}; write every: 10")

    def load(self) -> None:
        """Import its package; MissingExtraError where that is not installed."""
        try:
            for module in self.modules or (self.package,):
                importlib.import_module(module)
        except ImportError:
            raise MissingExtraError(self.package, extra=self.extra, where=f"logging ({self.kind})") from None

    def stride(self, steps: int, single: bool) -> int:
        """Every how many updates of a trial are logged; `single`: it is the run's only one."""
        if self.every != "auto":
            return self.every
        return max(1, -(-steps // (self.points if single else self.trial_points)))

    @property
    def is_remote(self) -> bool:
        """Whether it talks to a server, which may be away: training then begins without waiting for it."""
        return False

    @abstractmethod
    def open(self, about: About, state: dict[str, Any]) -> LoggerRun:
        """The run as this logger keeps it.

        `state` is what a resumed run must know (a run's id): what is put into it here and later is kept in the run
        folder, and given again when the run is resumed.
        """
