"""lrtool's schedules in a training loop of one's own: a drop-in torch LR scheduler."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch.optim.lr_scheduler import LRScheduler

from lrtool.config.document import read_document
from lrtool.errors import ScheduleError, UsageError
from lrtool.schedules import KINDS, Curve, Schedule

#: What can stand for a schedule: an object, its fields, segments, a kind's name, or a YAML file.
ScheduleLike = Schedule | Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | Path


class CurveLR(LRScheduler):
    """Any lrtool schedule as a `torch.optim.lr_scheduler.LRScheduler`.

    Construct it, then call `step()` after every `optimizer.step()`: update t = 0, 1, … runs at
    `curve(t)`, and past the end at the final value. Each param group has the LR it was made with as its
    peak (`lr` replaces it, times the group's `lr_scale` if it has one). One-cycle and cyclical schedules
    drive momentum (beta1 for Adam) too; `momentum` and `weight_decay` take schedules of their own, whose
    peaks are the groups' values.

    `schedule`, `momentum`, `weight_decay`: a Schedule, a mapping of its fields, a list of segments, the
    name of a kind, or a YAML file that is a schedule or has one under `schedule`. `steps`: updates of the
    run. `steps_per_epoch`: needed where durations are in epochs. `last_epoch`: as in torch; −1 starts.

    `state_dict` holds the step and a fingerprint of the curves, plain values only; loading it sets the
    LRs at once, and refuses the state of other curves. Raises ScheduleError where a schedule does not
    fit, UsageError where it cannot be read.

    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    >>> scheduler = CurveLR(optimizer, {"kind": "cosine", "final": "10%"}, steps=4)
    >>> lrs = []
    >>> for _ in range(6):
    ...     lrs.append(round(scheduler.get_last_lr()[0], 3))
    ...     optimizer.step()
    ...     scheduler.step()
    >>> lrs
    [1.0, 0.868, 0.55, 0.232, 0.1, 0.1]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedule: ScheduleLike,
        steps: int,
        *,
        lr: float | None = None,
        momentum: ScheduleLike | None = None,
        weight_decay: ScheduleLike | None = None,
        steps_per_epoch: int | None = None,
        last_epoch: int = -1,
    ) -> None:
        self._schedule = as_schedule(schedule)
        self._momentum = None if momentum is None else as_schedule(momentum)
        self._weight_decay = None if weight_decay is None else as_schedule(weight_decay)
        self._steps, self._steps_per_epoch = steps, steps_per_epoch
        self._tables: list[_GroupTables] = []
        self._drives = False
        if lr is not None and last_epoch == -1:
            for group in optimizer.param_groups:
                group["lr"] = lr * group.get("lr_scale", 1.0)
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: int | None = None) -> None:
        """Move to the next update (or, as torch once allowed, to update number `epoch`)."""
        if self._step_count < 2 or epoch is not None:
            # torch's own step looks after first calls in the wrong order.
            super().step(epoch)
        else:
            self._step_count += 1
            self.last_epoch += 1
            self._last_lr = self.get_lr()
            for group, value in zip(self.optimizer.param_groups, self._last_lr, strict=True):
                _set(group, "lr", value)
        if self._drives:
            self._drive()

    def get_lr(self) -> list[float | torch.Tensor]:
        """Each group's LR at update `last_epoch`."""
        tables, groups = self._tables, self.optimizer.param_groups
        if len(tables) != len(groups):
            tables += [self._tabulate(group) for group in groups[len(tables) :]]
        t = self.last_epoch if self.last_epoch < self._steps else self._steps
        if t < 0:
            raise ScheduleError(f"a step is at least 0, but got {t}", remedy="count updates from 0")
        return [table.lr[t] for table in tables]

    def state_dict(self) -> dict[str, Any]:
        """The step and a fingerprint of the curves."""
        return {"last_epoch": self.last_epoch, "fingerprint": self.fingerprint()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step of a state; UsageError where it belongs to other curves."""
        if state_dict.get("fingerprint") != self.fingerprint():
            raise UsageError(
                "this scheduler state was saved with another schedule, number of steps or peak LR",
                where="CurveLR.load_state_dict",
                remedy="make CurveLR with the arguments it had when the state was saved",
            )
        self.last_epoch = int(state_dict["last_epoch"])
        self._step_count = self.last_epoch + 1
        for group, value in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            _set(group, "lr", value)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
        self._drive()

    def fingerprint(self) -> str:
        """Twelve hex digits that differ where the schedules, the steps or the peaks do."""
        specs = [None if each is None else each.model_dump(mode="json") for each in self._schedules()]
        peaks = [float(group["initial_lr"]) for group in self.optimizer.param_groups]
        text = json.dumps([specs, self._steps, self._steps_per_epoch, peaks], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _schedules(self) -> tuple[Schedule | None, ...]:
        return self._schedule, self._momentum, self._weight_decay

    def _drive(self) -> None:
        """Set the scheduled hyperparameters besides the LR."""
        t = min(self.last_epoch, self._steps)
        for group, table in zip(self.optimizer.param_groups, self._tables, strict=True):
            for name, values in table.others:
                if name == "beta1":
                    group["betas"] = (values[t], *group["betas"][1:])
                else:
                    group[name] = values[t]

    def _tabulate(self, group: dict[str, Any]) -> _GroupTables:
        """The values of every update for a param group, as Python floats: nothing is computed in `step`."""
        initial = group.setdefault("initial_lr", group["lr"])
        peak = float(initial)
        others: list[tuple[str, list[float]]] = []
        key = "beta1" if "betas" in group else "momentum"
        driven = self._schedule.bind_momentum(peak, self._steps, self._steps_per_epoch)
        if self._momentum is not None:
            own = group["betas"][0] if key == "beta1" else group["momentum"]
            driven = self._momentum.bind(own, self._steps, self._steps_per_epoch)
        if driven is not None and (key == "beta1" or "momentum" in group):
            others.append((key, _values(driven)))
        if self._weight_decay is not None:
            curve = self._weight_decay.bind(group["weight_decay"], self._steps, self._steps_per_epoch)
            others.append(("weight_decay", _values(curve)))
        self._drives = self._drives or bool(others)
        return _GroupTables(_values(self._schedule.bind(peak, self._steps, self._steps_per_epoch)), others)


class _GroupTables:
    """One param group's values at updates 0 … steps."""

    __slots__ = ("lr", "others")

    def __init__(self, lr: list[float], others: list[tuple[str, list[float]]]) -> None:
        self.lr, self.others = lr, others


def as_schedule(given: ScheduleLike) -> Schedule:
    """The schedule that an object, mapping, list, kind or YAML file stands for.

    Raises UsageError where it is none, with the rule that it breaks.
    """
    if isinstance(given, Schedule):
        return given
    if isinstance(given, Path) or (isinstance(given, str) and given.endswith((".yaml", ".yml"))):
        data = read_document(Path(given)).data
        return as_schedule(data.get("schedule", data))
    if isinstance(given, str):
        KINDS[given]
    try:
        schedule: Schedule = TypeAdapter(KINDS.annotation()).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(first["msg"], where=f"schedule.{where}" if where else "schedule") from None
    return schedule


def _values(curve: Curve) -> list[float]:
    values: list[float] = curve(np.arange(curve.steps + 1)).tolist()
    return values


def _set(group: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(group[name], torch.Tensor):
        group[name].fill_(value)
    else:
        group[name] = value
