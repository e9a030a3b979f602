"""`lrtool.transfer`: the LR for a run too expensive to tune."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.parts.asked import Overrides, as_texts, read_config
from lrtool.api.parts.resuming import needs_resume, over, reopened
from lrtool.api.parts.running import shown, spread_engines, working
from lrtool.api.results.transfer import TransferAnswer
from lrtool.errors import UsageError

if TYPE_CHECKING:
    from lrtool.config.schema import Config
    from lrtool.experiments.spread.placing import Placing


def transfer(
    config: Any = None,
    *,
    to: Mapping[str, Any] | Sequence[str] | str | Path = (),
    points: str | Path | None = None,
    budget: float | None = None,
    seed: int | None = None,
    overrides: Overrides = (),
    allow_import: Iterable[str] = (),
    engine: str = "auto",
    executor: str = "auto",
    workers: int | None = None,
    ray_address: str | None = None,
    slurm_cluster: str = "slurm",
    progress: bool = True,
    output: str | Path | None = None,
    resume: str | Path | None = None,
    force: bool = False,
) -> TransferAnswer:
    """Find how the best LR moves with duration, batch size or width, and say it for a run that costs much.

    config: what is trained; not needed with `points`.
    to: the target, {"train.duration": "50ep"}, texts KEY=VALUE, or the path of a second config.
    points: a CSV file of points that are there already, with columns for the keys, `lr` and `loss`: nothing is trained.
    budget: cost at most, in times of the target run; unsaid, a quarter of it, or about 20 seconds if that is more.
    resume: the run folder of a transfer that was stopped, which goes on; `force`: though code or data changed.
    executor: where trials are trained, with `workers`, `ray_address` and `slurm_cluster`, as in `tune`.

    The LR is None, with the `reason`, where the measurements support no law.

    >>> import math, pathlib, tempfile, lrtool
    >>> rows = [f"{batch},{lr},{1 + math.log(lr / (0.01 * batch**0.5)) ** 2 / 50}"
    ...         for batch in (16, 32, 64, 128) for lr in (0.02, 0.04, 0.08, 0.16, 0.32)]
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "points.csv"
    >>> _ = file.write_text("batch_size,lr,loss\\n" + "\\n".join(rows))
    >>> result = lrtool.transfer(points=file, to={"batch_size": 256})
    >>> abs(result.exponents["batch_size"] - 0.5) < 0.05, result.interval[0] < 0.16 < result.interval[1]
    (True, True)
    """
    from lrtool.experiments.spread.placing import Placing
    from lrtool.experiments.transfer.target import texts_of

    placing, temporary = Placing(executor, workers, ray_address, slurm_cluster), output is None
    placing.check()
    if resume is not None:
        others = (config, to, points, budget, seed, tuple(overrides), engine != "auto", output)
        return _resumed(resume, others, allow_import, force, placing, progress)
    needs_resume(force)
    texts = texts_of(to)
    if points is not None:
        with working(output) as folder:
            return _of_points(config, Path(points), texts, budget, read_options=(overrides, seed), folder=folder,
                              temporary=temporary)  # fmt: skip
    if config is None:
        raise UsageError("there is nothing to train", where="CONFIG", remedy="give a config, or --points FILE")
    with working(output) as folder:
        return _trained(
            config,
            texts,
            budget,
            (overrides, seed),
            frozenset(allow_import),
            engine,
            placing,
            progress,
            folder,
            temporary,
        )


def _resumed(
    run: str | Path,
    others: Iterable[object],
    allow_import: Iterable[str],
    force: bool,
    placing: Placing,
    progress: bool,
) -> TransferAnswer:
    from lrtool.experiments.engines import Engines
    from lrtool.experiments.transfer.going_on import resume_transfer

    folder, whole, known = reopened(run, "transfer", others, allow_import, force)
    if whole is None:
        return over(TransferAnswer(folder.path))
    with (
        shown("transfer", progress) as watch,
        spread_engines(Engines(), whole, placing, known, folder.path.parent) as engines,
    ):
        session, found, notes = resume_transfer(whole, folder, watch, known, force, engines)
    return TransferAnswer(folder.path, None, session, found, (), notes)


def _of_points(
    config: Any,
    points: Path,
    texts: Sequence[str],
    budget: float | None,
    read_options: tuple[Overrides, int | None],
    folder: Path,
    temporary: bool,
) -> TransferAnswer:
    from lrtool.experiments.transfer.measured import transfer_points

    if budget is not None:
        raise UsageError("points cost nothing", where="--budget", remedy="leave it out, or leave out --points")
    checked = read_config(config, *read_options) if config is not None else None
    run = transfer_points(points, texts, folder, checked)
    answer = TransferAnswer(run.folder.path, folder if temporary else None, None, run.found)
    answer.settings = [text for text in texts if "=" in text] if checked is not None else ()
    return answer


def _trained(
    config: Any,
    texts: Sequence[str],
    budget: float | None,
    read_options: tuple[Overrides, int | None],
    allow_import: frozenset[str],
    engine: str,
    placing: Placing,
    progress: bool,
    folder: Path,
    temporary: bool,
) -> TransferAnswer:
    overrides, seed = as_texts(read_options[0]), read_options[1]

    def configs(more: Sequence[str]) -> Config:
        return read_config(config, [*overrides, *more], seed)

    configs(())
    from lrtool.config.started import remember
    from lrtool.engine.trials import EngineName
    from lrtool.experiments.engines import Engines
    from lrtool.experiments.transfer.keys import settings
    from lrtool.experiments.transfer.request import TransferRequest
    from lrtool.experiments.transfer.training import run_transfer

    with shown("transfer", progress) as watch:
        watch.say("measuring how fast the target trains")
        asked = TransferRequest.of(texts, configs, allow_import)
        # What the user has started may be resumed.
        remember(asked.whole.config, allow_import)
        here = Engines(EngineName.parse(engine))
        with spread_engines(here, asked.whole, placing, allow_import, folder) as engines:
            session, found = run_transfer(asked, folder, watch, budget, engines)
    answer = TransferAnswer(session.folder.path, folder if temporary else None, session, found)
    answer.settings = settings(asked.target, {})
    return answer
