"""`lrtool.train`: one training under a schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.asked import Asked, Objects, Overrides, asked
from lrtool.api.results.train import TrainAnswer
from lrtool.api.running import shown, working

if TYPE_CHECKING:
    from lrtool.config.specs import ScheduleLike


def train(
    model: Any,
    data: Any = None,
    *,
    lr: float | None = None,
    lr_from: str | Path | None = None,
    optimizer: Any = None,
    loss: Any = None,
    val: Any = None,
    schedule: ScheduleLike | None = None,
    smoke: bool = False,
    seed: int | None = None,
    overrides: Overrides = (),
    allow_import: Iterable[str] = (),
    preserve: Sequence[Any] = (),
    keep: str = "auto",
    progress: bool = True,
    output: str | Path | None = None,
    **settings: Any,
) -> TrainAnswer:
    """Train a model under a schedule, with validation, divergence checks and curves.

    model: an `nn.Module`, which is trained where it is, by the optimizer that is given; a function that makes one,
        which the result then has as `model`; or a config.
    lr: the peak LR; unsaid, the optimizer's own. `lr_from`: the run folder of a range test or tune that suggests it.
    smoke: a handful of updates through every stage.

    All else is as in `range_test`; random states and what `preserve` names are left as they were.

    >>> import torch, lrtool
    >>> x = torch.randn(200, 8)
    >>> result = lrtool.train(torch.nn.Linear(8, 1), (x, x[:, :1]), optimizer="sgd", lr=0.05, schedule="cosine",
    ...                       duration=200, progress=False)
    >>> result.final["val_loss"] < 0.05, result.status.value
    (True, 'finished')
    """
    objects = Objects(model, data, val, optimizer, loss, schedule, seed, settings, preserve, keep)
    with working(output) as folder, asked(objects, overrides, allow_import, repeats=False) as ready:
        ready = replace(ready, setup=_at(ready, lr, lr_from))
        return _trained(ready, folder, smoke, progress, temporary=output is None)


def _at(ready: Asked, lr: float | None, lr_from: str | Path | None) -> Any:
    """The setup with the LR that was asked for."""
    from lrtool.errors import UsageError

    if lr is not None and lr_from is not None:
        raise UsageError("`lr` and `lr_from` both give the LR", remedy="leave one out")
    setup = ready.setup
    if lr_from is not None:
        from lrtool.runs.suggested_lr import lr_from as suggested

        lr = suggested(Path(lr_from), setup.config.schedule.kind)
    if lr is None:
        return setup
    if not 0 < lr < float("inf"):
        raise UsageError(f"an LR is a finite number above 0, but got {lr!r}", where="lr", remedy="write 0.1")
    config = setup.config.with_lr(lr)
    return replace(setup, config=config, recipe=replace(setup.recipe, optimizer=config.optimizer))


def _trained(ready: Asked, folder: Path, smoke: bool, progress: bool, temporary: bool) -> TrainAnswer:
    from lrtool.experiments.train import run_smoke, run_training

    with shown(f"{ready.setup.config.name}: training", progress) as watch:
        run = (run_smoke if smoke else run_training)(ready.setup, folder, watch)
    path = run.session.folder.path
    return TrainAnswer(path, folder if temporary else None, run, ready.model(), ready.said)
