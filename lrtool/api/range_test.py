"""`lrtool.range_test`: where loss starts to fall, where it explodes, and a peak LR in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.parts.asked import Asked, Objects, Overrides, asked
from lrtool.api.parts.resuming import needs_resume, over, reopened
from lrtool.api.parts.running import listening, shown, working
from lrtool.api.parts.together import answered, together
from lrtool.api.results.range_test import RangeTestAnswer

if TYPE_CHECKING:
    from lrtool.analysis.range_test_result import RangeTestResult
    from lrtool.config.specs import ScheduleLike
    from lrtool.experiments.session import Session


def range_test(
    model: Any = None,
    data: Any = None,
    *,
    optimizer: Any = None,
    loss: Any = None,
    val: Any = None,
    schedule: ScheduleLike | None = None,
    budget: float | None = None,
    quick: bool = False,
    seed: int | None = None,
    overrides: Overrides = (),
    allow_import: Iterable[str] = (),
    engine: str = "auto",
    preserve: Sequence[Any] = (),
    keep: str = "auto",
    progress: bool = True,
    output: str | Path | None = None,
    resume: str | Path | None = None,
    force: bool = False,
    **settings: Any,
) -> RangeTestAnswer:
    """Test which LRs train a model: the LR ramps up, the loss is read, and short trainings check what it says.

    Every trial begins at the model's present weights, so a model that is to be fine-tuned is tested as it is. What is
    given is afterwards as it was, also after an exception or Ctrl-C: weights, buffers, gradients, `requires_grad`,
    the modes of modules, the optimizer's state and groups, LR schedulers on it, every random state, autocast, and where
    the data stand. Nothing is written unless `output` says where, or the result is saved.

    model: an `nn.Module`, compiled or replicated ones too (what is inside is tested, and nothing is compiled); a
        function that makes one, then every seed has its own weights; or a config: a path, a mapping, None for the
        embedded one. The data are moved to the model's device, whichever they are on.
    data: a `DataLoader` (its data set, batch size and collate function are used, its sampler and position are left
        alone), a `Dataset`, a tuple `(inputs…, target)` of tensors or arrays, or an iterable of batches, of which some
        are kept. A generator cannot begin again: the result's `notes` say how much of it is used up.
    optimizer: a torch optimizer on this model, whose groups keep the ratios of their LRs and which starts every trial
        with the state it has; a function of parameters; a name ("adamw", the default) or a mapping such as
        {"kind": "sgd", "momentum": 0.9}.
    loss: a function `loss(output, target)`, or a module; a name such as "cross_entropy"; unsaid, the model's own or the
        default for the targets.
    val: validation data, as `data`; unsaid, a fifth of the samples is held out (`val_fraction`).
    schedule: what the suggested LR is the peak of: "cosine warmup=5%".
    budget: cost at most, in times of one training by itself and apart from the ramp; unsaid, 1 or about 10 seconds,
        whichever is more. `quick`: the ramp alone, without the short trainings.
    settings: keys of a config's sections `range_test` (start, end, steps, seeds, probe_steps, …), `train` (duration:
        how long the training is that the LR is for; accumulate, precision, clip_norm, …) and `data` (batch_size, …).
    overrides, allow_import: of a config, as `--set` and `--allow-import`: {"optimizer.lr": 0.1}.
    preserve: what else is to be left as it was, such as averaged weights or a gradient scaler.
    resume: the run folder of a range test of a config that was stopped: it goes on as it was asked for; `force`: though
        code or data were changed.
    keep: where copies of the state are kept: in memory ("cpu"), in files ("disk"), or as memory allows ("auto").

    >>> import torch, lrtool
    >>> x = torch.randn(200, 8)
    >>> model = torch.nn.Linear(8, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    >>> result = lrtool.range_test(model, (x, x[:, :1]), optimizer=optimizer, loss=torch.nn.functional.mse_loss,
    ...                            duration=100, seeds=2, quick=True, progress=False)
    >>> 1e-3 < result.suggested_lr < 10 and optimizer.param_groups[0]["lr"] == 0.01
    True
    >>> result.apply(optimizer)
    >>> optimizer.param_groups[0]["lr"] == result.suggested_lr
    True
    """
    objects = Objects(model, data, val, optimizer, loss, schedule, seed, settings, preserve, keep)
    if resume is not None:
        others = (*objects.given, budget, quick, overrides, output, engine != "auto")
        return _resumed(resume, others, allow_import, force, progress)
    needs_resume(force)
    with (
        together(objects) as given,
        working(output) as folder,
        asked(given, overrides, allow_import, engine) as ready,
    ):
        return tested(ready, folder, budget, quick, progress, temporary=output is None)


def _resumed(
    run: str | Path, others: Iterable[object], allow_import: Iterable[str], force: bool, progress: bool
) -> RangeTestAnswer:
    folder, setup, _ = reopened(run, "range-test", others, allow_import, force)
    if setup is None:
        return over(RangeTestAnswer(folder.path))
    from lrtool.experiments.range_test.range_test import resume_range_test

    with shown(f"{setup.config.name}: LR range test", progress) as watch:
        listener = listening(watch) if progress else None
        session, found, notes = resume_range_test(setup, folder, watch, listener, force)
        watch.finished()
    return RangeTestAnswer(folder.path, None, session, found, (), notes)


def tested(
    ready: Asked, folder: Path, budget: float | None, quick: bool, progress: bool, temporary: bool
) -> RangeTestAnswer:
    """Make the range test of what is ready to be trained, below `folder`, and show how far it is."""
    from lrtool.experiments.range_test.range_test import run_range_test

    def lead() -> tuple[Session, RangeTestResult]:
        with shown(f"{ready.setup.config.name}: LR range test", progress) as watch:
            watch.say("measuring how fast this model trains")
            listener = listening(watch) if progress else None
            made = run_range_test(ready.setup, folder, watch, ready.engines, budget, quick, listener)
            watch.finished()
        return made

    session, found = answered(ready, "range-test", lead)
    path = session.folder.path
    return RangeTestAnswer(path, folder if temporary else None, session, found, ready.scales, ready.said)
