"""The budget of an LR search, in training runs of its config, and what of it is spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from lrtool.engine import clock
from lrtool.engine.choice import Chooser
from lrtool.engine.cost import calibration
from lrtool.engine.cost.amount import Amount, validations
from lrtool.engine.cost.calibration import Seconds
from lrtool.engine.loop.speeds import LoopSpeed
from lrtool.engine.parallel.joining import current
from lrtool.engine.trials import EngineName
from lrtool.experiments.engines import Engines
from lrtool.experiments.resuming.search_memory import SearchMemory
from lrtool.experiments.runner import TrialRunner
from lrtool.experiments.setup import Setup

#: Without a budget of the user's: this many training runs, or about this many seconds if that is more.
DEFAULT_RUNS, DEFAULT_SECONDS = 3.0, 20.0


class Usual(NamedTuple):
    """What a command may cost where the user says nothing: so many training runs, or seconds if that is more.

    `step`: seconds become runs in powers of two to this, so that they are the same runs every time. `over`: what is
    measured may go beyond the budget by this part before anything is left out.
    """

    runs: float
    seconds: float
    step: float = 1.0
    over: float = 1.25


TUNE = Usual(DEFAULT_RUNS, DEFAULT_SECONDS)
#: What rounds up to at most seven seconds of training: beginning trials, reading them and planning take up to three
#: more. It is counted in updates; only what was far from expected breaks it off.
RANGE_TEST = Usual(1.0, 7.0 / 2**0.25, 0.5, over=1.7)

#: A budget holds at most two to this power times as many trials as the loop engine would train in its time.
_MOST = 3
#: What is measured may go beyond the budget by so many seconds before anything is left out.
_SLACK = 5.0
#: Below the one part of the budget twice as many trials fit for certain, whatever was remembered; above the other, too
#: many were.
_UNDER, _BEYOND = 0.4, 1.25


class Budget:
    """The budget of one search, counted twice.

    What is trained is planned in whole runs of updates and validations, the same on every day; how
    long it may take, and takes, is measured, on a clock that stands still while other programs have the processor.

    A training run of the config counts with its own validations. `runs` is what the user allows; `limit` what may be
    trained, in runs: as many times more as trials are faster by the engine that trains them (a power of 2).
    """

    def __init__(
        self, setup: Setup, runner: TrialRunner, engines: Engines, runs: float | None, usual: Usual = TUNE
    ) -> None:
        self._usual = usual
        self._setup, self._runner, self._engines = setup, runner, engines
        self._began, self._clock = clock.worked(), time.perf_counter()
        self._example = setup.trial(setup.config.seed, setup.config.optimizer.lr)
        chooser = engines.chooser(setup.task, self._example, setup.recipe)
        self._memory: SearchMemory = getattr(runner, "memory", None) or SearchMemory()
        self._before = self._memory.spent
        self._key, speed = chooser.key, self._speed(chooser)
        self._memory.clock = lambda: self.spent_seconds
        every = setup.config.train.eval_every
        self._validations = validations(
            setup.task, setup.steps, setup.updates(every, "train.eval_every") if every.amount else 0
        )
        self._validation = coarse(speed.validation / speed.update) if setup.task.val is not None else 0.0
        self.one = speed.trial(Amount(1, setup.steps, self._validations))
        self.runs = runs if runs is not None else max(usual.runs, coarse(usual.seconds / self.one, usual.step))
        self.limit = self.runs
        chooser.stake = max(chooser.stake, self.seconds)
        self.cut = False

    def _speed(self, chooser: Chooser) -> LoopSpeed:
        """Measured once: what goes on plans with the speed that it began with."""
        before = self._memory.recall("speed")
        if before is not None:
            return LoopSpeed(**before)
        speed = chooser.speed
        self._memory.remember("speed", dict(vars(speed)))
        return speed

    def scaled(self, calls: Callable[[float], Sequence[Amount]], part: float = 1.0, filled: bool = False) -> Seconds:
        """Set `limit`, so that what it holds (`calls`) takes no longer than a part of the budget; how long that is.

        `filled`: what they leave of it may be trained as well.
        """
        self.limit = float(self._memory.decide("limit", lambda: self._scaled(calls, part)))
        return self._takes(calls(self.limit), filled)

    def _scaled(self, calls: Callable[[float], Sequence[Amount]], part: float) -> float:
        """What may be trained, in runs, in a part of the budget's time."""
        if self._engines.wanted is EngineName.LOOP:
            # Of the same budget come the same trials, whatever the number of cores.
            return self.limit
        memory, key = (
            calibration.Memory(),
            f"scale {self._key} {self.runs:g} {self._usual.runs:g} {self._engines.wanted}",
        )
        known = memory.get(key)
        power = known if isinstance(known, int) and 0 <= known <= _MOST else None
        # What was found before stands as long as it is not plainly wrong, so that the same is trained every time.
        parts = [self._expected(calls(self.runs * 2**n)).likely / (part * self.seconds) for n in range(_MOST + 1)]
        if power is None or parts[power] > _BEYOND or (power < _MOST and parts[power] < _UNDER):
            fits = [n for n in range(1, _MOST + 1) if parts[n] <= 1]
            power = max(fits, default=0)
            memory.put(key, power)
        return self.runs * 2.0**power

    def begin(self) -> None:
        """Count from now on: what measuring took is left out."""
        self._began = clock.worked()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is done inside (a plot) does not count."""
        before = clock.worked()
        yield
        self._began += clock.since(before)

    @property
    def seconds(self) -> float:
        """What the user allows, as time."""
        return self.runs * self.one

    @property
    def spent_seconds(self) -> float:
        """All that was done so far: measuring, planning, compiling, training, validating."""
        return self._before + clock.since(self._began)

    @property
    def elapsed(self) -> float:
        """Seconds by the clock on the wall."""
        return time.perf_counter() - self._clock

    @property
    def spent_runs(self) -> float:
        """That in training runs by themselves."""
        return self.spent_seconds / self.one

    @property
    def trained(self) -> float:
        """Updates and validations so far, in runs."""
        return self.part(self._runner.steps, self._runner.validations)

    @property
    def left(self) -> float:
        """What may still be trained, in runs."""
        return max(0.0, self.limit - self.trained)

    def part(self, updates: float, checks: float) -> float:
        """So many updates and validations, in runs."""
        whole = self._setup.steps + self._validations * self._validation
        return (updates + checks * self._validation) / whole

    def cost(self, fraction: float) -> float:
        """A trial of a fraction of the run's updates, validated at its end, in runs."""
        return self.part(max(1, round(self._setup.steps * fraction)), 1)

    def allows(self, ahead: Sequence[Amount]) -> float:
        """The part of what lies ahead that the time holds: 1, unless it would plainly go beyond the budget.

        Several processes that train together take longer for small models than one, but must find what one finds: of
        them only updates count.
        """
        if not current().alone:
            return 1.0
        part = float(self._memory.decide("allows", lambda: self._allows(ahead)))
        self.cut |= part < 1.0
        return part

    def _allows(self, ahead: Sequence[Amount]) -> float:
        takes = self._expected(ahead).likely
        beyond = self.spent_seconds + takes - max(self._usual.over * self.seconds, self.seconds + _SLACK)
        if beyond <= 0:
            return 1.0
        return min(max(0.0, self.seconds - self.spent_seconds) / max(1e-9, takes), 1.0 - 1e-9)

    def _takes(self, planned: Sequence[Amount], filled: bool) -> Seconds:
        """Seconds of all that is done in the end; `filled`: the limit may be trained to its end."""
        trained = sum(self.part(each.trials * each.updates, each.trials * each.validations) for each in planned)
        rest = max(0.0, self.limit / trained - 1) if filled and trained else 0.0
        takes = self._expected(planned)
        takes = takes.plus(Seconds(0.0, rest / 2 * takes.likely, rest * takes.high))
        return takes.plus(Seconds.around(self.spent_seconds, 0.0))

    def _expected(self, calls: Sequence[Amount]) -> Seconds:
        total = Seconds(0.0, 0.0, 0.0)
        for amount in calls:
            choice = self._engines.expected(self._setup.task, self._example, self._setup.recipe, amount)
            total = total.plus(choice.costs.seconds)
            # Each trial's end is on the disk before the next thing is done.
            total = total.plus(Seconds.around(amount.trials * self._memory.write_seconds, 0.5))
        return total


def coarse(value: float, step: float = 0.5) -> float:
    """The nearest power of 2^`step`: measured anew it is rarely another."""
    return 2.0 ** (step * round(math.log2(value) / step)) if value > 0 else 0.0
