"""`lrtool.tune`: the best peak LR, measured by real trainings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.parts.asked import Asked, Objects, Overrides, asked
from lrtool.api.parts.resuming import needs_resume, over, reopened
from lrtool.api.parts.running import shown, spread, spread_engines, working
from lrtool.api.parts.together import answered, together
from lrtool.api.results.transfer import TransferAnswer
from lrtool.api.results.tune import TuneAnswer

if TYPE_CHECKING:
    from lrtool.config.specs import ScheduleLike
    from lrtool.experiments.session import Session
    from lrtool.experiments.spread.placing import Placing
    from lrtool.experiments.tune_result import TuneResult


def tune(
    model: Any = None,
    data: Any = None,
    *,
    optimizer: Any = None,
    loss: Any = None,
    val: Any = None,
    schedule: ScheduleLike | None = None,
    schedules: Sequence[str] = (),
    budget: float | None = None,
    seed: int | None = None,
    overrides: Overrides = (),
    allow_import: Iterable[str] = (),
    engine: str = "auto",
    executor: str = "auto",
    workers: int | None = None,
    ray_address: str | None = None,
    slurm_cluster: str = "slurm",
    preserve: Sequence[Any] = (),
    keep: str = "auto",
    progress: bool = True,
    output: str | Path | None = None,
    resume: str | Path | None = None,
    force: bool = False,
    **settings: Any,
) -> TuneAnswer | TransferAnswer:
    """Find the best peak LR for a model, data, optimizer, schedule and length of training, by training.

    model: a function (or class) that makes a model, called for every training; an `nn.Module`, whose present weights
        every training begins at; or a config: a path, a mapping, None for the embedded one.
    budget: cost at most, in times of one training by itself; unsaid, 3 or about 20 seconds, whichever is more.
        Below one training, shorter ones are made and their best LRs extrapolated, as by `transfer`.
    schedules: kinds to tune and rank, each at its own best LR; none: the one of `schedule`.
    executor: of a config, where its trials are trained: `local`, `ray`, `slurm`; with `workers`, `ray_address` and
        `slurm_cluster` as the options of `lrtool tune`.

    resume: the run folder of a tune of a config that was stopped, which goes on, with any executor; `force`: though
        code or data changed.

    All else is as in `range_test`; what is given is left as it was.

    >>> import torch, lrtool
    >>> x = torch.randn(200, 8)
    >>> result = lrtool.tune(lambda: torch.nn.Linear(8, 1), (x, x[:, :1]), optimizer="sgd", schedule="cosine",
    ...                      duration=60, seeds=2, budget=12, progress=False)
    >>> result.interval[0] <= result.suggested_lr <= result.interval[1]
    True
    """
    from lrtool.experiments.spread.placing import Placing

    objects = Objects(model, data, val, optimizer, loss, schedule, seed, settings, preserve, keep)
    placing = Placing(executor, workers, ray_address, slurm_cluster)
    placing.check()
    if resume is not None:
        others = (*objects.given, budget, schedules, overrides, output, engine != "auto")
        return _resumed(resume, others, allow_import, force, placing, progress)
    needs_resume(force)
    with (
        together(objects) as given,
        working(output) as folder,
        asked(given, overrides, allow_import, engine) as ready,
        spread(ready, placing, allow_import, folder) as placed,
    ):
        return _tuned(placed, folder, budget, schedules, progress, temporary=output is None)


def _resumed(
    run: str | Path,
    others: Iterable[object],
    allow_import: Iterable[str],
    force: bool,
    placing: Placing,
    progress: bool,
) -> TuneAnswer | TransferAnswer:
    from lrtool.analysis.search.transfer.extrapolate import Transferred
    from lrtool.experiments.engines import Engines
    from lrtool.experiments.tune import resume_tune

    folder, setup, known = reopened(run, "tune", others, allow_import, force)
    if setup is None:
        return over(TransferAnswer(folder.path) if "target" in folder.summary() else TuneAnswer(folder.path))
    with (
        shown(f"{setup.config.name}: tuning the LR", progress) as watch,
        spread_engines(Engines(), setup, placing, known, folder.path.parent) as engines,
    ):
        session, found, notes = resume_tune(setup, folder, watch, watch.say, force, engines)
    if isinstance(found, Transferred):
        return TransferAnswer(folder.path, None, session, found, (), notes)
    return TuneAnswer(folder.path, None, session, found, (), notes)


def _tuned(
    ready: Asked, folder: Path, budget: float | None, schedules: Sequence[str], progress: bool, temporary: bool
) -> TuneAnswer | TransferAnswer:
    from lrtool.analysis.search.transfer.extrapolate import Transferred
    from lrtool.experiments.tune import run_tune

    def lead() -> tuple[Session, TuneResult | Transferred]:
        with shown(f"{ready.setup.config.name}: tuning the LR", progress) as watch:
            watch.say("measuring how fast this model trains")
            return run_tune(ready.setup, folder, watch, budget, schedules, ready.engines, watch.say, short=True)

    session, found = answered(ready, "tune", lead)
    path = session.folder.path
    aside = folder if temporary else None
    if isinstance(found, Transferred):
        return TransferAnswer(path, aside, session, found, ready.scales, ready.said)
    return TuneAnswer(path, aside, session, found, ready.scales, ready.said)
