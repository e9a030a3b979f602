"""The parts of a task, as specifications and as built objects.

Specifications (`Model`, `Dataset`) are what a config holds: pydantic fields, no torch until they are built.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from lrtool.tasks.failures import guarded

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lrtool.tasks.sources import Source

# Keeps what a model draws in Python and NumPy apart from what is drawn in training.
_WEIGHTS_STREAM = 0x1217

TargetKind = Literal["class", "value", "token", "labels", "unknown"]


@dataclass(frozen=True)
class BuildContext:
    """What a specification may need to be built: where relative paths start, and which code may run.

    That is code in or beneath the folder (if `code_beside`), and the packages and folders of `allow_import`.
    """

    folder: Path = field(default_factory=Path.cwd)
    allow_import: frozenset[str] = frozenset()
    code_beside: bool = True


@dataclass(frozen=True)
class DataShape:
    """What a model must accept and produce.

    `inputs` is one sample's shape (empty for mappings and unknown data); `outputs` the number of classes,
    target columns or vocabulary entries; `target` how the loss reads the target; `vocabulary` is set
    where inputs are token indices.
    """

    inputs: tuple[int, ...] = ()
    outputs: int = 0
    target: TargetKind = "unknown"
    vocabulary: int | None = None


@dataclass(frozen=True)
class Arrays:
    """A data set in memory: arrays whose first axis is the sample; `key`: what a split goes by that is not random."""

    inputs: tuple[NDArray[Any], ...]
    target: NDArray[Any]
    key: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.target)

    def take(self, index: NDArray[np.int64]) -> Arrays:
        """The samples at these indices."""
        key = self.key[index] if self.key is not None else None
        return Arrays(tuple(part[index] for part in self.inputs), self.target[index], key)


class Model(BaseModel, ABC):
    """A model's specification."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: str

    @abstractmethod
    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """A freshly initialised module, drawn from torch's current random state."""


class Dataset(BaseModel, ABC):
    """A data set's specification."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    #: How the names of the files end that it reads.
    endings: ClassVar[tuple[str, ...]] = ()

    kind: str
    batch_size: int = Field(64, ge=1, description="Samples per update.")
    drop_last: bool = Field(
        True, description="Leave out what fills no batch at an epoch's end; false: a smaller batch (loop engine only)."
    )
    val_fraction: float = Field(0.2, ge=0, lt=1, description="Part of the samples held out for validation.")
    split_seed: int = Field(0, ge=0, description="Seed of the split; the same for every trial, so trials compare.")
    sampler: Literal["random", "balanced"] = Field(
        "random", description="random: every sample once an epoch; balanced: every class equally often, with repeats."
    )

    @abstractmethod
    def load(self, context: BuildContext) -> Data:
        """Read or make the data, split and standardised."""

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether a file or folder is of the sort that it reads, as far as a glance tells."""
        return path.suffix.lower() in cls.endings

    @classmethod
    def choices(cls, path: Path, named: str) -> Mapping[str, Sequence[str]]:
        """What only its user can choose: what there is in this file, by field. `named`: its path in a config."""
        return {}


@dataclass(frozen=True)
class Data:
    """A loaded data set: training and validation sources (`val` may be missing) and what a model must fit.

    `batch_size`, `drop_last`: what the data themselves say, None if nothing. `weights`: how often each training sample
    is drawn, relative to the others, (samples,); None: equally. `unit`: of a target that was standardised, its own.
    """

    train: Source
    val: Source | None
    shape: DataShape
    batch_size: int | None = None
    drop_last: bool | None = None
    weights: NDArray[np.float64] | None = None
    unit: Unit | None = None


@dataclass(frozen=True)
class Unit:
    """The unit of a target before it was standardised: its name, and the size of one standardised unit in it.

    `scale` has one number, or one for each column of the target.
    """

    name: str
    scale: tuple[float, ...]


LossFunction = Callable[[Any, Any], "Tensor"]


@dataclass(frozen=True)
class Metric:
    """A validation metric: the mean over samples of `per_sample(output, target)` → tensor (batch, …).

    `of_mean`: what becomes of that mean, as the root does of squared errors. `unit`: what its values are measured in.
    """

    name: str
    per_sample: Callable[[Any, Any], Tensor]
    higher_is_better: bool = True
    of_mean: Callable[[float], float] | None = None
    unit: str = ""


def own_loss(output: Any) -> Any:
    """The loss that a model returned itself, or None.

    It is `.loss`, the key "loss", the only single number in a tuple, or one that is all there is.
    """
    if isinstance(output, Mapping):
        return output.get("loss")
    if getattr(output, "ndim", None) == 0 and output.is_floating_point():
        return output
    if isinstance(output, tuple | list) and not hasattr(output, "loss"):
        numbers = [part for part in output if getattr(part, "ndim", None) == 0 and part.is_floating_point()]
        return numbers[0] if len(numbers) == 1 else None
    return getattr(output, "loss", None)


@dataclass(frozen=True)
class Task:
    """What is trained.

    `new_model` draws fresh initial weights from torch's current random state. `loss(output, target)` gives
    the mean over the batch; None where the model returns its own loss. `weights`: how often each training sample is
    drawn, relative to the others; None: equally. `drop_last`: what fills no batch at an epoch's end is left out.
    `whole_batches`: the model takes batches of `batch_size` samples and no others. `unit`: the target's own, where it
    was standardised. `loss_said`: the loss's specification as plain data, also where it is the default for the targets.
    """

    name: str
    new_model: Callable[[], nn.Module]
    train: Source
    val: Source | None
    batch_size: int
    loss: LossFunction | None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    weights: NDArray[np.float64] | None = None
    drop_last: bool = True
    whole_batches: bool = False
    unit: Unit | None = None
    loss_said: Mapping[str, Any] | None = None

    def loss_of(self, output: Any, target: Any) -> Tensor:
        """The loss of a batch: `loss(output, target)`, or the one that the model returned."""
        return self.loss(output, target) if self.loss is not None else own_loss(output)

    @property
    def higher_is_better(self) -> dict[str, bool]:
        """Of each metric's column, `val_<name>`, whether a larger value is a better model; of losses it never is."""
        return {f"val_{name}": metric.higher_is_better for name, metric in self.metrics.items()}

    @property
    def units(self) -> dict[str, str]:
        """What the values of each metric are measured in, by column; those without a unit are left out."""
        return {f"val_{name}": metric.unit for name, metric in self.metrics.items() if metric.unit}

    @property
    def batches_per_epoch(self) -> int:
        """Batches per epoch; the remainder that fills none is dropped, or with `drop_last: false` a smaller one."""
        return -(-len(self.train) // self.batch_size) if not self.drop_last else len(self.train) // self.batch_size

    @property
    def uneven(self) -> bool:
        """Whether the last batch of an epoch is smaller than the others."""
        return not self.drop_last and len(self.train) % self.batch_size > 0

    @property
    def val_batch_size(self) -> int:
        """Samples of a validation batch: twice as many as in training, for nothing is kept for a backward pass."""
        return self.batch_size if self.whole_batches else 2 * self.batch_size

    @property
    def val_samples(self) -> int:
        """How many of the validation samples are looked at: all, but where only whole batches can be."""
        size = len(self.val) if self.val is not None else 0
        return size - size % self.batch_size if self.whole_batches else size

    def evaluation(self, means: Sequence[float]) -> dict[str, float]:
        """`val_loss` and each metric as `val_<name>`, of the means over the samples of loss and metrics."""
        loss, *rest = means
        found = {"val_loss": loss}
        for (name, metric), mean in zip(self.metrics.items(), rest, strict=True):
            found[f"val_{name}"] = mean if metric.of_mean is None else metric.of_mean(mean)
        return found

    def to(self, device: torch.device) -> Task:
        """The same with its data on a device. Raises TaskError where the data cannot be moved."""
        with guarded("moving the data to the device", "data"):
            val = self.val.to(device) if self.val is not None else None
            return replace(self, train=self.train.to(device), val=val)


def seeded_model(task: Task, seed: int) -> nn.Module:
    """The initial model of a seed, the same in every engine and process; the random states are left as they were.

    A model may draw its weights from torch, from NumPy's global state or from Python's `random`.
    """
    import torch

    word = np.random.SeedSequence([seed, _WEIGHTS_STREAM]).generate_state(1)[0]
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - models draw from it
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(word)  # noqa: NPY002
            random.seed(int(word))
            return task.new_model()
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
