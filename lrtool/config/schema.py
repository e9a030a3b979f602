"""The schema of a config: what a user may write, with defaults and checks."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lrtool import optimizers, schedules
from lrtool.config.document import write_yaml
from lrtool.optimizers import Optimizer
from lrtool.schedules import Schedule
from lrtool.schedules.plateau import Plateau
from lrtool.tasks import datasets, losses, metrics, models
from lrtool.tasks.base import Dataset, Model
from lrtool.tasks.losses import Loss
from lrtool.tasks.metrics import MetricSpec
from lrtool.units import Duration

if TYPE_CHECKING:
    AnyModel: TypeAlias = Model
    AnyDataset: TypeAlias = Dataset
    AnyLoss: TypeAlias = Loss
    AnyMetric: TypeAlias = MetricSpec
    AnyOptimizer: TypeAlias = Optimizer
    AnySchedule: TypeAlias = Schedule
else:
    AnyModel = models.KINDS.annotation()
    AnyDataset = datasets.KINDS.annotation()
    AnyLoss = losses.KINDS.annotation()
    AnyMetric = metrics.KINDS.annotation()
    AnyOptimizer = optimizers.KINDS.annotation()
    AnySchedule = schedules.KINDS.annotation()

#: Keys that say what a run is called and where it trains, not what it computes.
_NOT_HASHED = frozenset({"name", "device"})

#: Keys that name a file, or an object in one.
_FILES = frozenset({"path", "file", "use"})


class _Settings(BaseModel):
    # Infinities are written as such: null would say something else to the user's own code.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, ser_json_inf_nan="constants")


class TrainSettings(_Settings):
    """How long and how to train."""

    duration: Duration = Field(Duration(20, "epochs"), description="Length of the run: updates or epochs.")
    eval_every: Duration = Field(
        Duration(1, "epochs"), description="Validate this often; 0: only after the last update."
    )
    checkpoint_every: Duration = Field(
        Duration(1, "epochs"), description="Save a checkpoint this often; 0: only at the end."
    )
    clip_norm: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Clip the gradient's global norm to this."
    )
    accumulate: int = Field(1, ge=1, description="Batches whose gradients make one update.")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="Autocast precision; weights stay fp32.")
    grad_norm: bool = Field(False, description="Record the gradient's norm at every update.")

    @field_validator("duration")
    @classmethod
    def _some_updates(cls, value: Duration) -> Duration:
        if value.amount == 0:
            raise ValueError("a run has at least 1 update; write 500 or '20ep'")
        if value.unit == "percent":
            raise ValueError(f"the run's own length cannot be a part of it, but got {value.written()!r}; write '20ep'")
        return value


class RangeTestSettings(_Settings):
    """The ramp of an LR range test."""

    start: float = Field(1e-6, gt=0, allow_inf_nan=False, description="LR of the first update.")
    end: float = Field(10.0, gt=0, allow_inf_nan=False, description="LR of the last update, unless it stops before.")
    steps: int = Field(100, ge=2, description="Updates from start to end.")
    seeds: int = Field(5, ge=1, description="Seeds, each a ramp of its own.")
    ramp: Literal["exponential", "linear"] = Field("exponential", description="Equal steps in log LR, or in LR.")
    smoothing: float = Field(0.9, ge=0, lt=1, description="β of the bias-corrected smoothed loss that is drawn.")
    val_every: Duration = Field(Duration(0), description="Validate this often along the ramp; 0: never.")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.start >= self.end:
            raise ValueError(
                f"`start < end` must hold, but got start={self.start:g}, end={self.end:g};"
                " write for example start: 1e-6, end: 10"
            )
        return self


class Config(_Settings):
    """One task and how to train it."""

    name: str = Field("run", min_length=1, description="Names the folder below outputs/.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of weights, batches and dropout.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    model: AnyModel = Field(description="What is trained.")
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

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The folder whose code the config may run: that of its file."""
        return self._folder

    def beside(self, folder: Path) -> Self:
        """The same config, belonging to a folder."""
        copy = self.model_copy()
        copy._folder = folder
        return copy

    def with_lr(self, lr: float) -> Self:
        """The same config with another peak LR."""
        copy = self.model_copy(update={"optimizer": self.optimizer.model_copy(update={"lr": lr})})
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
        zero = [name for name in value if name in known and optimizer.hyperparameters()[name] == 0]
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
        data = _without_folders(self.model_dump(mode="json", exclude=set(_NOT_HASHED)))
        text = json.dumps(data, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


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
