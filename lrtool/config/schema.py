"""The schema of a config: what a user may write, with defaults and checks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from lrtool import optimizers, schedules
from lrtool.config.document import write_yaml
from lrtool.config.settings import ClusterSettings, InFolder, InitSettings, RangeTestSettings, TrainSettings, digest
from lrtool.loggers import LOGGERS, Logger
from lrtool.optimizers import Optimizer
from lrtool.schedules import Schedule
from lrtool.schedules.plateau import Plateau
from lrtool.tasks import datasets, losses, metrics, models
from lrtool.tasks.base import Dataset, Model
from lrtool.tasks.losses import Loss
from lrtool.tasks.metrics import MetricSpec

if TYPE_CHECKING:
    AnyModel: TypeAlias = Model
    AnyDataset: TypeAlias = Dataset
    AnyLoss: TypeAlias = Loss
    AnyMetric: TypeAlias = MetricSpec
    AnyOptimizer: TypeAlias = Optimizer
    AnyLogger: TypeAlias = Logger
    AnySchedule: TypeAlias = Schedule
else:
    AnyModel = models.KINDS.annotation()
    AnyDataset = datasets.KINDS.annotation()
    AnyLoss = losses.KINDS.annotation()
    AnyMetric = metrics.KINDS.annotation()
    AnyOptimizer = optimizers.KINDS.annotation()
    AnyLogger = LOGGERS.annotation()
    AnySchedule = schedules.KINDS.annotation()

#: Keys that say what a run is called, where it trains and who hears of it, not what it computes.
_NOT_HASHED = frozenset({"name", "device", "logging", "cluster"})

#: Keys that name a file, or an object in one.
_FILES = frozenset({"path", "file", "use"})


def _different(loggers: tuple[Logger, ...]) -> tuple[Logger, ...]:
    """The same loggers; ValueError where one comes twice, which would log everything twice."""
    kinds = [logger.kind for logger in loggers]
    twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} stands here {kinds.count(twice)} times; leave one")
    return loggers


AnyLoggers = Annotated[tuple[AnyLogger, ...], AfterValidator(_different)]


class Config(InFolder):
    """One task and how to train it."""

    name: str = Field("run", min_length=1, description="Names the folder below outputs/.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of weights, batches and dropout.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    model: AnyModel = Field(description="What is trained.")
    init: InitSettings | None = Field(None, description="Weights to begin with; unsaid, the model's own fresh ones.")
    data: AnyDataset = Field(description="What it is trained on.")
    loss: AnyLoss | None = Field(None, description="Unsaid: the model's own, or the default for the targets.")
    metrics: tuple[AnyMetric, ...] | None = Field(None, description="Unsaid: the defaults for the targets.")
    optimizer: AnyOptimizer = Field(description="Optimizer; its lr is the peak that the schedule scales.")
    schedule: AnySchedule = Field(
        default_factory=lambda: schedules.KINDS["constant"].model_validate({}),
        description="How the LR moves over the run.",
    )
    schedules: dict[str, AnySchedule] = Field(
        {}, description="Schedules of other hyperparameters: momentum (or beta1), weight_decay."
    )
    plateau: Plateau | None = Field(None, description="Multiply the LR when a metric stops improving.")
    train: TrainSettings = Field(default_factory=TrainSettings, description="How long and how to train.")
    range_test: RangeTestSettings = Field(default_factory=RangeTestSettings, description="The LR range test.")
    logging: AnyLoggers = Field((), description="What else hears of a run, besides its folder.")
    cluster: ClusterSettings = Field(
        default_factory=ClusterSettings, description="What trials need on a cluster (sweep, tune)."
    )

    _lr_source: str = PrivateAttr("")

    def __eq__(self, other: object) -> bool:
        """Whether both say the same; where it was written plays no part."""
        return isinstance(other, Config) and super().__eq__(other.lr_said(self._lr_source))

    @property
    def lr_source(self) -> str:
        """Where the peak LR comes from, in words; empty where that is not known."""
        return self._lr_source

    def with_lr(self, lr: float, source: str = "") -> Self:
        """The same config with another peak LR; `source` says where that comes from."""
        copy = self.model_copy(update={"optimizer": self.optimizer.model_copy(update={"lr": lr})})
        copy._folder = self._folder
        return copy.lr_said(source)

    def lr_said(self, source: str) -> Self:
        """The same config, which says where its peak LR comes from."""
        copy = self.model_copy()
        copy._lr_source = source
        return copy

    def with_init(self, path: str) -> Self:
        """The same config with the weights that training begins with in another place."""
        assert self.init is not None
        copy = self.model_copy(update={"init": self.init.model_copy(update={"path": path})})
        copy._folder = self._folder
        return copy

    def with_data(self, **fields: Any) -> Self:
        """The same config with other values of the data's fields."""
        copy = self.model_copy(update={"data": self.data.model_copy(update=fields)})
        copy._folder = self._folder
        return copy

    @field_validator("device")
    @classmethod
    def _a_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", value):
            raise ValueError(f"there is no device {value!r}; write auto, cpu, cuda, cuda:N or mps")
        return value

    @field_validator("schedules")
    @classmethod
    def _schedulable(cls, value: dict[str, Schedule], info: ValidationInfo) -> dict[str, Schedule]:
        optimizer = info.data.get("optimizer")
        if optimizer is None:
            return value
        known = tuple(optimizer.scheduled)
        unknown = [name for name in value if name not in known]
        zero = [name for name in value if name in known and not optimizer.hyperparameters().get(name)]
        if unknown or zero:
            raise PydanticCustomError(
                "unschedulable",
                "{kind} schedules {known}, if above 0; unknown: {unknown}, 0: {zero}",
                {"kind": optimizer.kind, "known": known, "unknown": unknown, "zero": zero},
            )
        return value

    def to_yaml(self) -> str:
        """The whole config with every default written out; loading it gives the same config."""
        return write_yaml(self.model_dump(mode="json"))

    def hash(self) -> str:
        """Twelve hex digits that are the same for configs that compute the same.

        Files count by their names: a project computes the same in whichever folder it lies.
        """
        return digest(_without_folders(self.model_dump(mode="json", exclude=set(_NOT_HASHED))))


def computed(base: dict[str, Any]) -> dict[str, Any]:
    """The data of a config without its loggers and what it needs on a cluster: they change nothing of the results."""
    return {key: value for key, value in base.items() if key not in ("logging", "cluster")}


def _without_folders(data: Any) -> Any:
    """The data of a config with the folders of its files left out; `args` are the user's own and stay."""
    if isinstance(data, list):
        return [_without_folders(item) for item in data]
    if not isinstance(data, dict):
        return data
    return {
        key: re.split(r"[/\\]", value)[-1]
        if key in _FILES and isinstance(value, str)
        else value
        if key == "args"
        else _without_folders(value)
        for key, value in data.items()
    }


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a config file."""
    schema = Config.model_json_schema()
    schema["properties"]["extends"] = {"type": "string", "description": "A config to inherit from, relative to this."}
    # What an `extends` base supplies need not be written again.
    schema.pop("required", None)
    _describe_inner_schedules(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "lrtool config"}


def _describe_inner_schedules(schema: dict[str, Any]) -> None:
    """Say of schedules inside schedules what is said of the outer one: pydantic leaves recursion out."""
    one = {key: schema["properties"]["schedule"][key] for key in ("anyOf",)}
    schema["$defs"]["AnySchedule"] = one
    inner = {"$ref": "#/$defs/AnySchedule"}
    for each in one["anyOf"]:
        if each.get("type") == "array":
            each["items"] = inner
    schema["properties"]["schedules"]["additionalProperties"] = inner
    for section in schema["$defs"].values():
        properties = section.get("properties", {})
        if "segments" in properties:
            properties["segments"]["items"] = inner
        if "schedule" in properties and "kind" in properties:
            kept = {
                key: properties["schedule"][key] for key in ("default", "description") if key in properties["schedule"]
            }
            properties["schedule"] = {**inner, **kept}
