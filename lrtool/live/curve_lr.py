"""lrtool's schedules in a training loop of one's own: a drop-in torch LR scheduler."""

from __future__ import annotations

import copy
import hashlib
import logging
from array import array
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LRScheduler

from lrtool.config.specs import ScheduleLike, as_schedule
from lrtool.errors import ScheduleError, UsageError
from lrtool.schedules import Curve, Schedule
from lrtool.schedules.base import as_length, as_peak

_LOG = logging.getLogger("lrtool")

#: What a state says of the length of its curves.
_LENGTH = ("steps", "steps_per_epoch")
#: Steps at which a fingerprint looks at a curve.
_SAMPLES = 1000


class CurveLR(LRScheduler):
    """Any lrtool schedule as a `torch.optim.lr_scheduler.LRScheduler`.

    Construct it, then call `step()` after every `optimizer.step()`: update t = 0, 1, … runs at
    `curve(t)`, and past the end at the final value. Each param group has the LR it was made with as its
    peak; `lr` replaces it, times the group's `lr_scale` where it has one. A group that is added later
    joins at the next `step()`. One-cycle and cyclical schedules drive momentum (beta1 for Adam) too;
    `momentum` and `weight_decay` take schedules of their own, whose peaks are the groups' values.

    `schedule`, `momentum`, `weight_decay`: a Schedule, a mapping of its fields, a list of segments, a text
    such as "cosine warmup=5%", or a YAML file that is a schedule or has one under `schedule`. `steps`:
    updates of the run. `steps_per_epoch`: needed where durations are in epochs. `last_epoch`: as in torch;
    −1 starts, and an optimizer that was resumed without a scheduler's state takes the last update's number.

    `state_dict` holds the step, the length and a fingerprint of the curves, plain values only; loading it
    sets the LRs at once. A state of another length is taken over (the step is all that a curve needs to go
    on), one of another schedule, peak or set of groups is refused. Raises ScheduleError where a schedule
    does not fit, UsageError where it cannot be read.

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
        self._own = {
            name: as_schedule(given)
            for name, given in (("momentum", momentum), ("weight_decay", weight_decay))
            if given is not None
        }
        lr, steps = (None if lr is None else as_peak(lr)), as_length(steps)
        self._lr, self._steps, self._steps_per_epoch = lr, steps, steps_per_epoch
        self._tables: dict[tuple[str, float], array[float]] = {}
        self._lrs: list[tuple[array[float], float]] = []
        self._others: list[tuple[int, str, array[float]]] = []
        if lr is not None:
            for group in optimizer.param_groups:
                group["initial_lr"] = lr * group.get("lr_scale", 1.0)
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: int | None = None) -> None:
        """Move to the next update (or, as torch once had it, to update number `epoch`)."""
        if self._step_count < 2 and epoch is None:
            # torch's own step warns of first calls in the wrong order.
            super().step()
            self._drive()
            return
        self._step_count += 1
        self._go_to(self.last_epoch + 1 if epoch is None else epoch)

    def get_lr(self) -> list[float | torch.Tensor]:
        """Each group's LR at update `last_epoch`; nothing is kept between calls."""
        t = self._place()
        return [table[t] * scale for table, scale in self._lrs]

    def state_dict(self) -> dict[str, Any]:
        """The step, the length and a fingerprint of the curves."""
        length = {"steps": self._steps, "steps_per_epoch": self._steps_per_epoch}
        return {"last_epoch": self.last_epoch, **length, "fingerprint": self.fingerprint()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step of a state, also of curves of another length; UsageError where it belongs to other curves."""
        # Those of older versions do not say how long they were.
        if not {"last_epoch", "fingerprint"} <= state_dict.keys() <= {"last_epoch", "fingerprint", *_LENGTH}:
            raise UsageError(
                f"this is not the state of a CurveLR: it has the keys {sorted(map(str, state_dict))}",
                where="CurveLR.load_state_dict",
                remedy="to go on at update n without a state, pass last_epoch=n - 1 to CurveLR",
            )
        steps = int(state_dict.get("steps", self._steps))
        if state_dict["fingerprint"] != self._fingerprint_of(
            steps, state_dict.get("steps_per_epoch", self._steps_per_epoch)
        ):
            raise UsageError(
                f"this state was saved with another schedule, {'' if 'steps' in state_dict else 'number of steps, '}"
                "peak LR or set of param groups",
                where="CurveLR.load_state_dict",
                remedy="make CurveLR with the arguments it had when the state was saved, or, to change the"
                f" schedule on purpose, with last_epoch={int(state_dict['last_epoch']) - 1}",
            )
        self._go_to(int(state_dict["last_epoch"]))
        self._step_count = self.last_epoch + 1
        if steps != self._steps:
            words = "from update %d on the LR follows the curve of %d updates; the state was saved on that of %d"
            _LOG.warning(words, self.last_epoch, self._steps, steps)

    def scale(self, factor: float) -> None:
        """Have as many times the peaks from now on, as when the groups' `initial_lr` was changed."""
        if self._lr is not None:
            self._lr *= factor
        self._tables, self._lrs, self._others = {}, [], []
        self._go_to(self.last_epoch)

    def _fingerprint_of(self, steps: int, steps_per_epoch: int | None) -> str:
        """That of the same schedules over another length; nothing where they do not fit it."""
        if (steps, steps_per_epoch) == (self._steps, self._steps_per_epoch):
            return self.fingerprint()
        other = copy.copy(self)
        other._steps, other._steps_per_epoch = steps, steps_per_epoch
        other._tables, other._lrs, other._others = {}, [], []
        try:
            return other.fingerprint()
        except ScheduleError:
            return ""

    def fingerprint(self) -> str:
        """Twelve hex digits that differ where the steps or any value of a curve do, to six digits."""
        self._place()
        digest = hashlib.sha256(str(self._steps).encode())
        at = np.unique(np.linspace(0, self._steps, _SAMPLES).round().astype(int)).tolist()
        named = [("lr", table, scale) for table, scale in self._lrs]
        for name, table, scale in named + [(f"{group}.{name}", table, 1.0) for group, name, table in self._others]:
            digest.update(f"{name}:{','.join(f'{table[t] * scale:.6g}' for t in at)}".encode())
        return digest.hexdigest()[:12]

    def _place(self) -> int:
        """Where the tables are read; groups that are new have theirs made."""
        groups = self.optimizer.param_groups
        for number in range(len(self._lrs), len(groups)):
            self._join(number, groups[number])
        return self.last_epoch if self.last_epoch < self._steps else self._steps

    def _go_to(self, t: int) -> None:
        """Set every group's LR, and what else is scheduled, for update t."""
        if t < 0:
            raise ScheduleError(f"a step is at least 0, but got {t}", where="step", remedy="count updates from 0")
        self.last_epoch = t
        self._last_lr = self.get_lr()
        for group, value in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            _set(group, "lr", value)
        if self._others:
            self._drive()

    def _drive(self) -> None:
        """Set the scheduled hyperparameters besides the LR."""
        t = self._place()
        for number, name, table in self._others:
            group = self.optimizer.param_groups[number]
            if name == "beta1":
                group["betas"] = (table[t], *group["betas"][1:])
            else:
                _set(group, name, table[t])

    def _join(self, number: int, group: dict[str, Any]) -> None:
        """Make the tables of a param group: nothing is computed in `step`."""
        scale = 1.0
        if self._lr is not None:
            peak, scale = self._lr, float(group.get("lr_scale", 1.0))
            group["initial_lr"] = peak * scale
        else:
            peak = float(group.setdefault("initial_lr", group["lr"]))
        self._lrs.append((self._table("lr", peak, self._schedule.bind), scale))
        momentum = "beta1" if "betas" in group else "momentum"
        if "momentum" in self._own:
            self._schedule_own(number, group, momentum, self._own["momentum"])
        elif "betas" in group or "momentum" in group:
            driven = self._schedule.bind_momentum(peak, self._steps, self._steps_per_epoch)
            if driven is not None:
                self._others.append((number, momentum, _values(driven)))
        if "weight_decay" in self._own:
            self._schedule_own(number, group, "weight_decay", self._own["weight_decay"])

    def _schedule_own(self, number: int, group: dict[str, Any], name: str, schedule: Schedule) -> None:
        """The table of a hyperparameter with a schedule of its own; its peak stays in the group, as torch does it."""
        if name != "beta1" and name not in group:
            raise UsageError(
                f"{type(self.optimizer).__name__} has no {name} to schedule", where=f"CurveLR({name}=…)",
                remedy="leave the argument out, or choose another optimizer",
            )  # fmt: skip
        peak = float(group.setdefault(f"initial_{name}", group["betas"][0] if name == "beta1" else group[name]))
        if not peak > 0:
            raise UsageError(
                f"a schedule scales the group's {name}, which is {peak:g}", where=f"CurveLR({name}=…)",
                remedy=f"make the optimizer with a {name} above 0",
            )  # fmt: skip
        self._others.append((number, name, self._table(name, peak, schedule.bind)))

    def _table(self, name: str, peak: float, bind: Any) -> array[float]:
        """The values at updates 0 … steps; groups with the same peak share them."""
        if (name, peak) not in self._tables:
            self._tables[name, peak] = _values(bind(peak, self._steps, self._steps_per_epoch))
        return self._tables[name, peak]


def _values(curve: Curve) -> array[float]:
    return array("d", curve(np.arange(curve.steps + 1)).tobytes())


def _set(group: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(group[name], torch.Tensor):
        group[name].fill_(value)
    else:
        group[name] = value
