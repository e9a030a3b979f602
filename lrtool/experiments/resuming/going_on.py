"""Going on with a training: the checkpoint that can be used, what must be as it was, and what is known already."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lrtool.config.load import load_config
from lrtool.engine import rng
from lrtool.engine.loop import checkpoint, state
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe, Trace, Trial
from lrtool.experiments.resuming.made_with import changes, made_with, refusal
from lrtool.experiments.setup import Setup
from lrtool.optimizers import Optimizer
from lrtool.runs.folder import RunFolder
from lrtool.status import Status

#: The folder, among a run's checkpoints, of those that stay: where an LR that was constant begins to fall.
KEPT_FOLDER = "kept"
#: What is kept of what a checkpoint was made with, among its details.
MADE_WITH = "made_with"


@dataclass(frozen=True)
class Resumed:
    """A training that goes on: from which checkpoint, and what is to be said of it.

    `elsewhere`: in another folder than that of the checkpoint, where nothing is yet. `continued`: what was said each
    time it went on on another curve; `new`: the last of it. `notes`: what was damaged.
    """

    path: Path
    checkpoint: Checkpoint
    continued: list[str]
    notes: tuple[str, ...]
    elsewhere: bool = False

    @property
    def new(self) -> list[str]:
        """What is said of this time."""
        return self.continued[len(self.checkpoint.details.get("continued", ())) :]

    def trace(self, trial: Trial) -> Trace:
        """What the trial has produced so far."""
        columns = dict(self.checkpoint.trace)
        loss, lr, seconds = (columns.pop(name) for name in ("train_loss", "lr", "seconds"))
        return Trace(
            trial, Status.INTERRUPTED, loss, lr, seconds,
            recorded=columns, evaluations=[*self.checkpoint.evaluations],
        )  # fmt: skip


def resumed(setup: Setup, trial: Trial, recipe: Recipe, folder: RunFolder, force: bool) -> Resumed | None:
    """How a run goes on; None where it was killed or failed before its first checkpoint and begins again.

    Nothing in the folder changes. Raises UsageError where there is no usable checkpoint, none of a run that had
    finished, or what the run was made with is not as it was; `force` goes on all the same.
    """
    finished = (folder.path / "summary.json").exists() and folder.summary()["status"] == Status.FINISHED
    if checkpoint.latest(folder.checkpoints) is None and not finished:
        return None
    path, found, damaged = checkpoint.newest_usable(folder.checkpoints)
    changed = unchanged(setup, folder, found, force)
    if force:
        found = _adopted(found, setup, trial, recipe)
    continued = _continued(setup, trial, recipe, found)
    notes = [f"{error}" for error in damaged]
    if damaged:
        notes.append(f"{path.name}, after {found.step} updates, is used instead; what came after it is trained again")
    notes += changed
    return Resumed(path, found, continued, tuple(notes))


def accept(resumed: Resumed, setup: Setup) -> Resumed:
    """Write down that the run goes on with what it has now; must come before anything else in its folder changes."""
    made = made_with(setup)
    before = resumed.checkpoint.details.get(MADE_WITH, {})
    # Killed from here on it finds one config or the other.
    configs = [*made["configs"], *(each for each in before.get("configs", ()) if each not in made["configs"])]
    details = {**resumed.checkpoint.details, MADE_WITH: {**made, "configs": configs}}
    checkpoint.set_aside(resumed.path.parent, resumed.checkpoint.step)
    if before != details[MADE_WITH]:
        checkpoint.amend(resumed.path, details)
    return replace(resumed, checkpoint=replace(resumed.checkpoint, details=details))


def unchanged(setup: Setup, folder: RunFolder, found: Checkpoint, force: bool) -> list[str]:
    """Raise UsageError where config, code or data were changed behind the run's back; with `force` give it in words.

    Checkpoints of older versions do not say what they were made with.
    """
    then = found.details.get(MADE_WITH)
    if then is None:
        return []
    changed = changes(then, setup, load_config(folder.config, code_beside=False))
    if changed and not force:
        raise refusal(changed, str(folder.path))
    return [f"gone on with --force though changed: {each}" for each in changed]


def _adopted(found: Checkpoint, setup: Setup, trial: Trial, recipe: Recipe) -> Checkpoint:
    """The checkpoint as if it had been made with this run's settings; how long it was to be stays."""
    with rng.preserved(recipe.device), closing(Training(setup.task.to(recipe.device), trial, recipe)) as training:
        own = training.snapshot()
        before = _optimizer_before(found, recipe.optimizer)
        then = state.optimizer_state(before.build(training.model))[1]["groups"] if before is not None else []
    steps, optimizer = found.details["trial"]["steps"], dict(found.details["optimizer"])
    if len(then) == len(optimizer["groups"]) == len(own.details["optimizer"]["groups"]):
        # What the config was edited in wins; what an optimizer remembers in its groups stays.
        optimizer["groups"] = [
            {**kept, **{key: value for key, value in now.items() if key in was and was[key] != value}}
            for kept, was, now in zip(optimizer["groups"], then, own.details["optimizer"]["groups"], strict=True)
        ]
    details = {**found.details, "trial": {**own.details["trial"], "steps": steps}, "optimizer": optimizer}
    return replace(found, details=details)


def _optimizer_before(found: Checkpoint, now: Optimizer) -> Optimizer | None:
    """The optimizer by the config that a checkpoint was made with; None where that is not known, or is another kind."""
    nested: dict[str, Any] = {}
    for key, value in next(iter(found.details.get(MADE_WITH, {}).get("configs", ())), {}).items():
        section, *path = key.split(".")
        if section == "optimizer" and path:
            inner = nested
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = value
    if nested.get("kind") != now.kind or nested.get("use") != getattr(now, "use", None):
        return None
    try:
        before = type(now).model_validate(nested)
    except ValidationError:
        return None
    made_by = getattr(now, "_made_by", None)
    return before if made_by is None else before.with_code(lambda _: made_by)


def _continued(setup: Setup, trial: Trial, recipe: Recipe, found: Checkpoint) -> list[str]:
    """What is to be said of going on; UsageError where it cannot be."""
    with rng.preserved(recipe.device), closing(Training(setup.task.to(recipe.device), trial, recipe)) as training:
        training.restore(found)
        return training.continued
