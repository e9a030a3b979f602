"""Longer runs, and other endings, from a run's checkpoints: what they train under, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

import numpy as np

from lrtool import units
from lrtool.engine.loop import checkpoint
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.continuing import SAME_LR
from lrtool.engine.trials import Trial
from lrtool.errors import UsageError
from lrtool.experiments.resuming.going_on import KEPT_FOLDER, Resumed, unchanged
from lrtool.experiments.setup import Setup
from lrtool.runs.folder import RunFolder
from lrtool.schedules.base import Schedule
from lrtool.schedules.compose import Sequence
from lrtool.schedules.constant import Constant
from lrtool.schedules.curve import Binding
from lrtool.schedules.wsd import WSD
from lrtool.theory.bound import last_iterate_bound

#: Re-warming takes this part of what follows where the schedule says none; how long it is matters little (Ibrahim et
#: al. 2024, arXiv:2403.08763).
_REWARM = Fraction(1, 100)
#: A branch decays over this part of what was done before, where the schedule says none.
_DECAY = Fraction(1, 5)


@dataclass(frozen=True)
class Extension:
    """A run that goes on in a new folder: the setup of the whole of it, and where it starts."""

    setup: Setup
    start: Resumed


def extended(setup: Setup, folder: RunFolder, length: str, force: bool = False) -> Extension:
    """A finished run, made longer.

    `setup`: that of the run as it was. `length`: "3x" its updates, or a duration. Where some checkpoint comes from
    updates that the longer run would have made alike (a constant LR, or WSD before its decay), it goes on from the last
    such one, exactly as the longer run would have. Else the LR is warmed up again after the end, and the notes say what
    that is expected to cost. A warm-up in percent stays as many updates as it was.

    Raises UsageError where the length is none, or no more than is done; where the run has no checkpoint to go on from,
    or its config, code or data were changed (unless `force`).
    """
    steps = _length(length, setup)
    checkpoints = _checkpoints(folder)
    changed = unchanged(setup, folder, checkpoints[0], force)
    longer = _with(setup, steps, _warmed_as_before(setup))
    trial = longer.trial(longer.config.seed, longer.config.optimizer.lr)
    for each in checkpoints:
        if _alike(each, trial):
            said = f"goes on from update {each.step} of {setup.steps}, exactly as a run of {steps} updates would have"
            return Extension(longer, _start(folder, each, [*changed, said]))
    newest = checkpoints[0]
    if newest.step < setup.steps:
        raise UsageError(
            f"this run stopped after {newest.step} of {setup.steps} updates",
            where=str(folder.path),
            remedy=f"write: lrtool train --resume {folder.path}, and extend it when it has finished",
        )
    again = _with(setup, steps, _rewarmed(setup, steps))
    return Extension(again, _start(folder, newest, [*changed, _expected(again, longer, newest.step)]))


def branched(setup: Setup, folder: RunFolder, at: int | None = None, force: bool = False) -> Extension:
    """The decay of a run with a constant LR, or WSD, from one of its checkpoints.

    `at`: after so many updates; None: the last checkpoint before any decay. It takes as many updates as the schedule's
    own decay, else a fifth of those before. Raises UsageError where there is no such checkpoint, the LR is not constant
    there, or config, code or data were changed (unless `force`).
    """
    schedule = setup.config.schedule
    if not isinstance(schedule, WSD | Constant):
        raise UsageError(
            f"a decay branches off a constant LR, but this run's schedule is {schedule.kind}",
            where=str(folder.path),
            remedy="give a run of schedule wsd or constant, or make this one longer with --extend 2x",
        )
    setup, own = _as_wsd(setup)
    for each in _checkpoints(folder, at):
        decay = _decay(setup, each.step)
        longer = _with(setup, each.step + decay, own.model_copy(update={"decay": units.Duration(decay)}))
        if _alike(each, longer.trial(longer.config.seed, longer.config.optimizer.lr)):
            changed = unchanged(setup, folder, each, force)
            said = f"decays over {decay} updates from update {each.step} on"
            return Extension(longer, _start(folder, each, [*changed, said]))
    raise UsageError(
        "the LR had already begun to fall in every checkpoint" + ("" if at is None else f" after {at} updates"),
        where=str(folder.path),
        remedy="leave out --at" if at is not None else "train again: the checkpoint before the decay is kept now",
    )


def _length(asked: str, setup: Setup) -> int:
    """Updates of the longer run."""
    factor = units.number(asked[:-1]) if asked.endswith("x") else None
    if factor is not None:
        steps = round(factor * setup.steps)
    else:
        try:
            duration = units.Duration.parse(asked)
        except ValueError:
            raise UsageError(
                f"this is no length: {asked!r}",
                where="--extend",
                remedy="write 3x for three times as long, or the whole length, as 60ep or 9000",
            ) from None
        steps = setup.updates(duration, "--extend")
    if steps <= setup.steps:
        raise UsageError(
            f"{asked} comes to {steps} updates, but the run has {setup.steps}",
            where="--extend",
            remedy="write the whole length, which is more than that, as 2x",
        )
    return steps


def _checkpoints(folder: RunFolder, at: int | None = None) -> list[Checkpoint]:
    """Those of a run that can be used, the newest first; `at`: after so many updates."""
    places = (folder.checkpoints, folder.checkpoints / KEPT_FOLDER)
    found = {each.step: each for each in chain.from_iterable(map(checkpoint.found, places))}
    if not found:
        raise UsageError(
            "there is no checkpoint to go on from", where=str(folder.path), remedy="give a run that has trained"
        )
    if at is None:
        return [found[step] for step in sorted(found, reverse=True)]
    if at not in found:
        known = ", ".join(map(str, sorted(found)))
        raise UsageError(f"there is no checkpoint after {at} updates", where="--at", remedy=f"choose one of: {known}")
    return [found[at]]


def _with(setup: Setup, steps: int, schedule: Schedule) -> Setup:
    """The setup of so many updates under a schedule."""
    train = setup.config.train.model_copy(update={"duration": units.Duration(steps)})
    config = setup.config.model_copy(update={"train": train, "schedule": schedule})
    return replace(setup, config=config)


def _binding(setup: Setup) -> Binding:
    return Binding(setup.config.optimizer.lr, setup.steps, setup.updates_per_epoch)


def _warmed_as_before(setup: Setup) -> Schedule:
    """The schedule, its warm-up in updates: a part of the run would be longer in a longer run."""
    schedule = setup.config.schedule
    return schedule.model_copy(update={"warmup": units.Duration(schedule.resolve(_binding(setup)).warmup)})


def _rewarmed(setup: Setup, steps: int) -> Schedule:
    """What was done, and then the schedule once more, warmed up from the LR that it had come to."""
    schedule, done = setup.config.schedule, setup.steps
    if schedule.kind == "table":
        raise UsageError(
            "a table of LRs says nothing of a longer run",
            where="schedule",
            remedy="say how it goes on: lrtool train --resume RUN --set schedule=… --set train.duration=…",
        )
    left = steps - done
    last = setup.curves(setup.config.optimizer.lr, done)["lr"](done - 1)
    warmup = schedule.resolve(_binding(setup)).warmup or max(1, round(_REWARM * left))
    begin, again = units.Duration(done), units.Duration(min(warmup, left))
    first = schedule.model_copy(update={"duration": begin})
    then = schedule.model_copy(update={"duration": None, "warmup": again, "warmup_start": units.Level(last)})
    return Sequence(segments=(first, then))


def _as_wsd(setup: Setup) -> tuple[Setup, WSD]:
    """The setup of a run under WSD or a constant LR, and its schedule as WSD, with the same LRs before any decay."""
    schedule = _warmed_as_before(setup)
    if isinstance(schedule, WSD):
        return setup, schedule.model_copy(update={"duration": None})
    last = setup.curves(setup.config.optimizer.lr, setup.steps)["lr"](setup.steps - 1)
    shared = schedule.model_dump(include={*Schedule.model_fields} - {"kind", "duration"})
    return replace(setup, config=setup.config.with_lr(last, setup.config.lr_source)), WSD.model_validate(shared)


def _decay(setup: Setup, done: int) -> int:
    schedule = setup.config.schedule
    own = schedule.resolve(_binding(setup)).decay if isinstance(schedule, WSD) else 0
    return own or max(1, round(_DECAY * done))


def _alike(found: Checkpoint, trial: Trial) -> bool:
    """Whether the updates up to a checkpoint had the values that this trial's curves give them."""
    if found.step >= trial.steps:
        return False
    done = np.arange(found.step)
    tables = {name: curve(done) for name, curve in trial.curves.items()}
    return all(
        name in found.trace and np.allclose(found.trace[name], table, rtol=SAME_LR, atol=0)
        for name, table in tables.items()
    )


def _start(folder: RunFolder, found: Checkpoint, notes: list[str]) -> Resumed:
    said = [*found.details.get("continued", ()), *notes]
    return Resumed(folder.checkpoints, found, said, (), elsewhere=True)


def _expected(again: Setup, longer: Setup, done: int) -> str:
    """What re-warming is expected to cost, by the convergence bound of the last iterate."""
    peak = again.config.optimizer.lr
    own, single = (
        last_iterate_bound(setup.curves(peak, setup.steps)["lr"].table() / peak).omega for setup in (again, longer)
    )
    return (
        f"warmed up again from update {done} on, as this schedule had ended there: by the convergence bound the loss"
        f" above the least is expected to be {own / single:.3g} times that of one run of {again.steps} updates, which"
        f" would take {again.steps} updates instead of {again.steps - done} more"
    )
