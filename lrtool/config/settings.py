"""The sections of a config that say how long, how often and how: plain settings without kinds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from lrtool.analysis.suggest import METHODS, SuggestionMethod
from lrtool.units import Duration

if TYPE_CHECKING:
    AnyMethod: TypeAlias = SuggestionMethod
else:
    AnyMethod = METHODS.annotation()

#: Updates below which no training breaks down or learns by more than its noise.
SHORTEST_PROBE = 20


class Settings(BaseModel):
    """A section of a config: frozen, every default checked, unknown keys refused."""

    # Infinities are written as such: null would say something else to the user's own code.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, ser_json_inf_nan="constants")


class InFolder(Settings):
    """What a whole file says: it belongs to a folder, where the files and the code that it names stand."""

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _code_beside: bool = PrivateAttr(True)

    @property
    def folder(self) -> Path:
        """The folder that paths start from: that of the file."""
        return self._folder

    @property
    def code_beside(self) -> bool:
        """Whether code in that folder may run: where the user named the file; not where lrtool wrote it into a run."""
        return self._code_beside

    def beside(self, folder: Path, code_beside: bool = True) -> Self:
        """The same, belonging to a folder."""
        copy = self.model_copy()
        copy._folder, copy._code_beside = folder, code_beside
        return copy


def digest(data: Any, length: int = 12) -> str:
    """Twelve hex digits (or more) that are the same for the same plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:length]


class InitSettings(Settings):
    """Where the weights come from that training begins with."""

    path: str = Field(
        min_length=1,
        description="A .safetensors file, or a run's folder (its best weights), relative to the config.",
    )
    partial: bool = Field(
        False, description="Take what fits by name and shape, and begin afresh with the rest; false: all must fit."
    )


class TrainSettings(Settings):
    """How long and how to train."""

    duration: Duration = Field(Duration(20, "epochs"), description="Length of the run: updates or epochs.")
    eval_every: Duration = Field(
        Duration(1, "epochs"), description="Validate this often; 0: only after the last update."
    )
    checkpoint_every: Duration | Literal["auto"] = Field(
        "auto",
        description="Save a checkpoint this often; auto: at ends of epochs, in 2% of the time; 0: only at the end.",
    )
    best: str = Field(
        "val_loss", description="What the best weights are judged by: val_loss, train_loss or val_<metric>."
    )
    on_divergence: Literal["stop", "restore_and_halve_lr"] = Field(
        "stop",
        description="stop, or go back to the last good state and on at half the LR, five times at most (train only).",
    )
    clip_norm: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Clip the gradient's global norm to this."
    )
    accumulate: int = Field(1, ge=1, description="Batches whose gradients make one update.")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="Autocast precision; weights stay fp32.")
    grad_norm: bool = Field(
        False, description="Record the norms of the gradient at every update: `grad_norm` (L2) and `grad_norm_l1`."
    )

    @field_validator("checkpoint_every", mode="wrap")
    @classmethod
    def _auto_or_often(cls, value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(
                f"this is auto or a duration, but got {value!r}; write auto, 500 (updates), '5ep', '10%',"
                " or 0 for a checkpoint at the end only"
            ) from None

    @field_validator("duration")
    @classmethod
    def _some_updates(cls, value: Duration) -> Duration:
        if value.amount == 0:
            raise ValueError("a run has at least 1 update; write 500 or '20ep'")
        if value.unit == "percent":
            raise ValueError(f"the run's own length cannot be a part of it, but got {value.written()!r}; write '20ep'")
        return value


class RangeTestSettings(Settings):
    """The ramp of an LR range test."""

    start: float = Field(1e-6, gt=0, allow_inf_nan=False, description="LR of the first update.")
    end: float = Field(10.0, gt=0, allow_inf_nan=False, description="LR of the last update, unless it stops before.")
    steps: int = Field(100, ge=2, le=10_000_000, description="Updates from start to end.")
    seeds: int = Field(5, ge=1, le=10_000, description="Seeds, each a ramp of its own.")
    ramp: Literal["exponential", "linear"] = Field("exponential", description="Equal steps in log LR, or in LR.")
    smoothing: float = Field(0.9, ge=0, lt=1, description="β of the bias-corrected smoothed loss that is drawn.")
    val_every: Duration = Field(Duration(0), description="Validate this often along the ramp; 0: never.")
    suggest: AnyMethod | None = Field(
        None,
        description="The method whose answer is the suggestion; unsaid: short trainings, or without them `stability`.",
    )
    methods: bool = Field(False, description="Also say what other tools' methods would suggest.")
    probe_steps: int = Field(200, ge=0, description="Updates of each short training that checks the ramp; 0: none.")

    @field_validator("probe_steps")
    @classmethod
    def _long_enough(cls, value: int) -> int:
        if 0 < value < SHORTEST_PROBE:
            raise ValueError(
                f"trainings of {value} updates show nothing; write at least {SHORTEST_PROBE}, or 0 for none"
            )
        return value

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.start >= self.end:
            raise ValueError(
                f"`start < end` must hold, but got start={self.start:g}, end={self.end:g};"
                " write for example start: 1e-6, end: 10"
            )
        return self


class ClusterSettings(Settings):
    """What jobs need on a cluster (`--executor ray` or `slurm`); it changes nothing of what is computed."""

    cpus: float = Field(1, gt=0, allow_inf_nan=False, description="CPUs of each group of trials that train together.")
    gpus: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="GPUs of each; 0.25: four share one. Unsaid: one where `device` is cuda, else none.",
    )
    retries: int = Field(
        5, ge=0, description="How often a group is begun again that loses its worker or node before a trial of it ends."
    )
    ship: bool = Field(
        True,
        description="Send the config's own code and data to every worker; false: all nodes see the same folders.",
    )
    slurm: dict[str, str | int | float | bool] = Field(
        {}, description="Options of sbatch as submitit takes them, such as partition, account, time (minutes), mem."
    )

    @field_validator("gpus")
    @classmethod
    def _parts_or_whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value != int(value):
            raise ValueError(f"more than one GPU comes in whole ones, but got {value:g}; write {int(value)} or 0.5")
        return value

    @field_validator("slurm")
    @classmethod
    def _none_of_ours(cls, value: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
        ours = {"cpus_per_task": "cluster.cpus", "gpus_per_node": "cluster.gpus", "gres": "cluster.gpus"}
        for key, instead in ours.items():
            if key in value:
                raise ValueError(f"{key} follows from the config; write {instead} instead")
        return value

    def gpus_on(self, device: str) -> float:
        """GPUs of a job whose trials train on a device."""
        return self.gpus if self.gpus is not None else float(device.startswith("cuda"))
