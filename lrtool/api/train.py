"""`lrtool.train`: one training under a schedule, new or gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.parts.asked import Asked, Objects, Overrides, as_texts, asked, is_config, read_config
from lrtool.api.parts.resuming import as_started, is_over, left_behind, needs_resume, opened_training, over
from lrtool.api.parts.running import shown, working
from lrtool.api.results.train import TrainAnswer
from lrtool.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lrtool.config.specs import ScheduleLike
    from lrtool.experiments.resuming.extending import Extension
    from lrtool.experiments.setup import Setup
    from lrtool.report.terminal.progress import ProgressObservers


def train(
    model: Any = None,
    data: Any = None,
    *,
    lr: float | None = None,
    lr_from: str | Path | None = None,
    optimizer: Any = None,
    loss: Any = None,
    val: Any = None,
    schedule: ScheduleLike | None = None,
    smoke: bool = False,
    resume: str | Path | None = None,
    extend: str | None = None,
    branch: str | Path | None = None,
    at: int | None = None,
    force: bool = False,
    seed: int | None = None,
    overrides: Overrides = (),
    allow_import: Iterable[str] = (),
    preserve: Sequence[Any] = (),
    keep: str = "auto",
    progress: bool = True,
    announce: Callable[[str], None] | None = None,
    output: str | Path | None = None,
    **settings: Any,
) -> TrainAnswer:
    """Train a model under a schedule, with validation, divergence checks and curves.

    model: an `nn.Module`, which is trained where it is, by the optimizer that is given; a function that makes one,
        which the result then has as `model`; or a config.
    lr: the peak LR; unsaid, the optimizer's own. `lr_from`: the run folder of a range test or tune that suggests it.
    smoke: a handful of updates through every stage.
    resume: the run folder of a training of a config that was stopped: it goes on there, as if it never had been.
        `overrides` may make it longer or give it another schedule.
    extend: with the run folder of a finished training as `model`, a longer one: "3x" its length, or "60ep".
    branch: the run folder of a training under wsd or a constant LR: its decay, from the checkpoint after `at` updates
        or the last one before it falls.
    force: with these three, go on though the config, the code or the data were changed.
    announce: told the peak LR and where it comes from, in a line, before the training begins.

    All else is as in `range_test`; random states and what `preserve` names are left as they were.

    >>> import torch, lrtool
    >>> x = torch.randn(200, 8)
    >>> result = lrtool.train(torch.nn.Linear(8, 1), (x, x[:, :1]), optimizer="sgd", lr=0.05, schedule="cosine",
    ...                       duration=200, progress=False)
    >>> result.final["val_loss"] < 0.05, result.status.value
    (True, 'finished')
    """
    objects = Objects(model, data, val, optimizer, loss, schedule, seed, settings, preserve, keep)
    told = announce or (lambda line: None)
    going_on = _GoingOn(as_texts(overrides), allow_import, force, progress, told)
    started_anew = (lr is not None, lr_from, smoke)
    if resume is not None:
        _alone(*objects.given, *started_anew, extend, branch)
        return going_on.resume(resume)
    if extend is not None or branch is not None:
        both = branch is not None and (extend or model is not None)
        _alone(*replace(objects, model=None).given, *started_anew, both)
        with working(output) as folder:
            return going_on.apart(branch or model, extend, at, folder, temporary=output is None)
    needs_resume(force)
    if at is not None:
        raise UsageError("--at says where --branch begins", where="--at", remedy="give that too")
    notes: tuple[str, ...] = ()
    if of_config := is_config(objects):
        objects, notes = _at(objects, overrides, lr, lr_from)
        overrides = ()
    with (
        working(output) as folder,
        asked(objects, overrides, allow_import, repeats=False) as ready,
    ):
        if not of_config:
            ready, notes = _set_to(ready, lr, lr_from)
        told(lr_line(ready.setup))
        said = (*ready.said, *notes)
        return _trained(replace(ready, said=said), folder, smoke, progress, temporary=output is None)


def lr_line(setup: Setup) -> str:
    """Which peak LR is taken, and where it comes from."""
    from lrtool.report.plots.style import number

    config = setup.config
    shape = "its values are the table's" if config.schedule.kind == "table" else f"schedule {config.schedule.kind}"
    return f"peak lr {number(config.optimizer.lr)} ({config.lr_source}), {shape}, {setup.steps:,} updates"


@dataclass(frozen=True)
class _Peak:
    """The peak LR that was asked for, where it comes from, and what is to be said of it."""

    lr: float
    source: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, lr: float | None, lr_from: str | Path | None, kind: str) -> _Peak | None:
        """`kind`: the schedule that it is for. UsageError where both are given, or there is no LR."""
        if lr is not None and lr_from is not None:
            raise UsageError("`lr` and `lr_from` both give the LR", remedy="leave one out")
        if lr_from is not None:
            return cls._suggested(Path(lr_from), kind)
        if lr is None:
            return None
        if not 0 < lr < float("inf"):
            raise UsageError(f"an LR is a finite number above 0, but got {lr!r}", where="lr", remedy="write 0.1")
        return cls(float(lr), "given as lr")

    @classmethod
    def _suggested(cls, run: Path, kind: str) -> _Peak:
        from lrtool.runs.suggested_lr import lr_from, lr_is_of, lr_source

        tuned = lr_is_of(run, kind)
        other = f"{run} did not tune {kind}; the LR is that of {tuned}, and may not suit {kind}"
        return cls(lr_from(run, kind), lr_source(run, kind), (other,) if tuned != kind else ())


def _at(
    objects: Objects, overrides: Overrides, lr: float | None, lr_from: str | Path | None
) -> tuple[Objects, tuple[str, ...]]:
    """A config with the LR that was asked for, and what is to be said of it.

    Before anything is built: where a run suggests no LR, nothing need be.
    """
    texts = as_texts(overrides)
    if lr_from is not None and any(text.startswith("optimizer.lr=") for text in texts):
        raise UsageError("--lr-from and --set optimizer.lr both give the LR", remedy="leave one out")
    config = read_config(objects.model, texts, objects.seed)
    peak = _Peak.of(lr, lr_from, config.schedule.kind)
    if peak is None:
        return replace(objects, model=config, seed=None), ()
    return replace(objects, model=config.with_lr(peak.lr, peak.source), seed=None), peak.notes


def _set_to(ready: Asked, lr: float | None, lr_from: str | Path | None) -> tuple[Asked, tuple[str, ...]]:
    """A user's own objects with the LR that was asked for, and what is to be said of it."""
    setup = ready.setup
    peak = _Peak.of(lr, lr_from, setup.config.schedule.kind)
    if peak is None:
        return ready, ()
    config = setup.config.with_lr(peak.lr, peak.source)
    setup = replace(setup, config=config, recipe=replace(setup.recipe, optimizer=config.optimizer))
    return replace(ready, setup=setup), peak.notes


def _trained(ready: Asked, folder: Path, smoke: bool, progress: bool, temporary: bool) -> TrainAnswer:
    from lrtool.experiments.train import run_smoke, run_training

    with shown(f"{ready.setup.config.name}: training", progress) as watch:
        run = (run_smoke if smoke else run_training)(ready.setup, folder, watch)
    return TrainAnswer(run.session.folder.path, folder if temporary else None, run, ready.model(), ready.said)


@dataclass(frozen=True)
class _GoingOn:
    """Trainings that begin where another one had got to."""

    overrides: list[str]
    allow_import: Iterable[str]
    force: bool
    progress: bool
    announce: Callable[[str], None]

    def resume(self, run: str | Path) -> TrainAnswer:
        """In the same folder."""
        from lrtool.experiments.train import resume_training

        folder = opened_training(run)
        # Before the model and the data are built: that may take a while, and a refusal should not.
        with folder.held():
            config, known = as_started(folder, self.overrides, self.allow_import, self.force)
            if is_over(left_behind(folder), config):
                return over(TrainAnswer(folder.path))

            from lrtool.experiments.setup import prepare

            setup = prepare(config, known)
            with self._shown(setup) as watch:
                return TrainAnswer(folder.path, None, resume_training(setup, folder, watch, self.force))

    def apart(
        self, run: str | Path | None, length: str | None, at: int | None, output: Path, temporary: bool
    ) -> TrainAnswer:
        """In a new folder: longer than the run was, or without a `length` its decay."""
        from lrtool.experiments.train import extend_training

        extension = self._extension(run, length, at)
        with self._shown(extension.setup) as watch:
            made = extend_training(extension, output, watch)
        return TrainAnswer(made.session.folder.path, output if temporary else None, made)

    def _extension(self, run: str | Path | None, length: str | None, at: int | None) -> Extension:
        if not isinstance(run, str | Path) or Path(run).is_file():
            raise UsageError(
                "--extend goes on with a run",
                where=str(run) if run is not None else "--extend",
                remedy="give its folder, as outputs/NAME/latest",
            )
        folder = opened_training(run)
        config, known = as_started(folder, self.overrides, self.allow_import, self.force)

        from lrtool.experiments.resuming.extending import branched, extended
        from lrtool.experiments.setup import prepare

        setup = prepare(config, known)
        if length is None:
            return branched(setup, folder, at, self.force)
        if at is not None:
            raise UsageError("--at says where --branch begins", where="--at", remedy="leave it out")
        return extended(setup, folder, length, self.force)

    def _shown(self, setup: Setup) -> AbstractContextManager[ProgressObservers]:
        self.announce(lr_line(setup))
        return shown(f"{setup.config.name}: training", self.progress)


def _alone(*others: object) -> None:
    if any(others):
        raise UsageError(
            "--resume, --extend and --branch go on with the run as it was configured",
            remedy="leave out CONFIG, --seed, --lr-from, --init-from and --smoke, or start a new run; its length and"
            " schedule may change, as with --set train.duration=40ep",
        )
