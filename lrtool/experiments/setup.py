"""From a config to what an engine takes: a task, a recipe, and curves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lrtool.config.schema import Config
from lrtool.config.specs import Spec
from lrtool.counting import counted, durations
from lrtool.engine.batches import sequence_length
from lrtool.engine.device import resolve_device
from lrtool.engine.loop import checkpoint
from lrtool.engine.parallel.joining import current
from lrtool.engine.trials import Recipe, Trial
from lrtool.errors import TaskError, UsageError, nearest
from lrtool.memory import most_updates
from lrtool.runs.folder import RunFolder
from lrtool.schedules import Curve, Schedule
from lrtool.tasks import custom
from lrtool.tasks.base import BuildContext, Task, seeded_model
from lrtool.tasks.build import build_task
from lrtool.tasks.initial import initialised
from lrtool.units import Duration, PerUpdate


@dataclass(frozen=True)
class Setup:
    """A config, built: everything that is the same for all trials of a command.

    `lent`: it stands for objects of the user's own, which nobody can make again to go on with.
    """

    config: Config
    task: Task
    recipe: Recipe
    lent: bool = False

    @property
    def updates_per_epoch(self) -> int:
        """Updates in one epoch (at least 1); an update takes `accumulate` batches."""
        return max(1, round(self.task.batches_per_epoch / self.recipe.accumulate))

    @property
    def steps(self) -> int:
        """Updates of the configured training run."""
        return self.updates(self.config.train.duration, "train.duration")

    def updates(self, duration: Duration, key: str, least: int = 1) -> int:
        """A duration of the config in updates; UsageError names `key` where it comes to fewer than `least`."""
        total = None if key == "train.duration" else self.steps
        try:
            steps = duration.steps(total, self.updates_per_epoch)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            raise UsageError(what, where=key, remedy=remedy or None) from None
        check_room(steps, key)
        if steps < least:
            raise UsageError(
                f"{duration.written()!r} comes to {steps} updates ({self.updates_per_epoch} updates make an epoch)",
                where=key,
                remedy=f"write at least {least}",
            )
        return steps

    def under(self, config: Config) -> Setup:
        """The same task under another config, which differs in nothing that is built: in the schedule, the length."""
        return replace(self, config=counted(config, _per_update(config, self.task)))

    def describe(self) -> dict[str, object]:
        """What building it has shown: sizes, device, lengths."""
        task = self.task
        return {
            "device": str(self.recipe.device),
            "parameters": sum(p.numel() for p in seeded_model(task, self.config.seed).parameters()),
            "training_samples": len(task.train),
            "validation_samples": task.val_samples,
            "batch_size": task.batch_size,
            "updates_per_epoch": self.updates_per_epoch,
            "updates": self.steps,
        }

    def curves(self, lr: float, steps: int) -> dict[str, Curve]:
        """The config's schedules for a peak LR: `lr` and every other scheduled hyperparameter."""
        return Spec.of(self.config, steps_per_epoch=self.updates_per_epoch).curves(lr, steps)

    def trial(
        self, seed: int, lr: float, label: str = "", *, schedule: Schedule | None = None, steps: int | None = None
    ) -> Trial:
        """One run of the configured training at a peak LR.

        `schedule` takes the place of the config's. `steps`: all of it in so many updates instead of the whole run's;
        update t is then trained as the whole run trains its update t·(whole/steps).
        """
        own = self
        if schedule is not None:
            own = replace(self, config=self.config.model_copy(update={"schedule": schedule}))
        curves = own.curves(lr, self.steps)
        if steps is not None:
            curves = {name: curve.compressed(steps) for name, curve in curves.items()}
        return own.following(curves, seed, label)

    def following(self, curves: Mapping[str, Curve], seed: int, label: str = "") -> Trial:
        """One run, as long as the LR's curve, in which nothing but these curves moves, and what is a multiple of it."""
        optimizer, lr = self.config.optimizer, curves["lr"]
        scaled = {name: lr.scaled(group.lr_scale) for name, group in optimizer.lr_columns().items() if group.lr is None}
        return Trial(seed, lr.steps, {**scaled, **curves}, optimizer.hyperparameters(), label)


def prepare(config: Config, allow_import: Collection[str] = ()) -> Setup:
    """Build the task and the recipe of a config; raises UsageError and TaskError as the builders do."""
    context = BuildContext(config.folder, frozenset(allow_import), config.code_beside)
    device = resolve_device(config.device)
    task = build_task(config.name, config.model, config.data, config.loss, config.metrics, context)
    if config.init is not None:
        file = _weights(config.folder / config.init.path)
        task = initialised(task, file, config.init.partial)
        # `latest` means another run tomorrow.
        config = config.with_init(str(file))
    train = config.train
    _check_best(train.best, task)
    recipe = Recipe(
        optimizer=config.optimizer.with_code(lambda target: custom.resolve(target, context, "optimizer")),
        device=device,
        precision=train.precision,
        clip_norm=train.clip_norm,
        accumulate=train.accumulate,
        record_grad_norm=train.grad_norm,
        best=train.best,
    )
    config = _as_built(config, task)
    setup = Setup(counted(config, _per_update(config, task)), task, recipe)
    if not current().alone:
        # The others build it too, once it is trained together.
        current().prepared = setup.config, frozenset(allow_import)
    return setup


def check_room(updates: int, where: str) -> None:
    """Raise TaskError where what is recorded of so many updates cannot be held in this machine's memory."""
    most = most_updates()
    if most is not None and updates > most:
        raise TaskError(
            f"memory would run out: it does not hold what is recorded of {updates:,} updates",
            where=where,
            remedy=f"write at most {most:,}",
        )


def _weights(path: Path) -> Path:
    """The file of weights that a path means: itself, or of a run the best, else those of its newest checkpoint.

    Raises UsageError where there is none, or it is not what the run wrote.
    """
    if path.is_file() and path.name != "latest":
        return _undamaged(path.resolve())
    folder = RunFolder.open(path)
    best, newest = folder.checkpoints / "best.safetensors", checkpoint.latest(folder.checkpoints)
    folder.verify("checkpoints/best.safetensors")
    if best.is_file():
        return best
    if newest is None:
        raise UsageError("this run has no weights", where=str(folder.path), remedy="give a run that has trained")
    return _undamaged(newest.with_suffix(".safetensors"))


def _undamaged(path: Path) -> Path:
    """The path of a file of weights; UsageError where a run says that it wrote another."""
    if path.parent.name == "checkpoints" or path.parent.parent.name == "checkpoints":
        document = path.with_suffix(".json")
        if document.is_file():
            checkpoint.load(document)
        elif path.parent.name == "checkpoints":
            RunFolder(path.parent.parent).verify(f"checkpoints/{path.name}")
    return path


def _as_built(config: Config, task: Task) -> Config:
    """The config with what the data said of themselves, as a loader does: what is written down is what is done."""
    found = {"batch_size": task.batch_size, "drop_last": task.drop_last}
    told = {key: value for key, value in found.items() if getattr(config.data, key) != value}
    return config.with_data(**told) if told else config


def _per_update(config: Config, task: Task) -> PerUpdate:
    """Samples and, where a duration counts them, tokens that an update takes."""
    samples = task.batch_size * config.train.accumulate
    asked = any(duration.unit == "tokens" for duration in durations(config))
    length = sequence_length(task) if asked else None
    return PerUpdate(samples, samples * length if length is not None else None)


def _check_best(name: str, task: Task) -> None:
    """UsageError where the best weights are to be judged by what no evaluation gives; val_loss has a stand-in."""
    known = ["train_loss", *(["val_loss", *task.higher_is_better] if task.val is not None else [])]
    if name in ("val_loss", *known):
        return
    if task.val is None:
        what, remedy = f"without validation data there is no {name}", "raise data.val_fraction, or write train_loss"
        raise UsageError(what, where="train.best", remedy=remedy)
    raise UsageError(f"an evaluation gives no {name!r}", where="train.best", remedy=nearest(name, known))
