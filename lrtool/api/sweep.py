"""`lrtool.sweep`: many trials of one base, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrtool.api.parts.asked import Overrides, as_texts
from lrtool.api.parts.resuming import left_behind, needs_resume, over
from lrtool.api.parts.running import working
from lrtool.api.results.compare import SweepAnswer
from lrtool.errors import UsageError
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.config.sweep.load import Sweep
    from lrtool.experiments.sweep.options import Options
    from lrtool.runs.folder import RunFolder


def sweep(
    config: str | Path | None = None,
    *,
    resume: str | Path | None = None,
    retry_failed: bool = False,
    force: bool = False,
    max_trials: int = 100_000,
    seed: int | None = None,
    overrides: Overrides = (),
    allow_import: Iterable[str] = (),
    executor: str = "auto",
    workers: int | None = None,
    ray_address: str | None = None,
    slurm_cluster: str = "slurm",
    progress: bool = True,
    output: str | Path | None = None,
) -> SweepAnswer:
    """Train every combination of a sweep's file, each recorded the moment it ends.

    config: a YAML sweep: `base`, `grid`, …; `overrides` and `seed` are of its base.
    resume: the run folder of a sweep that was stopped: what is missing is trained; with `retry_failed` also what had
        failed, with `force` though config, code or data were changed.
    executor: where trials are trained, with `workers`, `ray_address` and `slurm_cluster`, as in `tune`.
    max_trials: larger sweeps are refused.

    Raises UsageError and ConfigError before anything is trained; trials that fail are in the result's rows.

    >>> import pathlib, tempfile, lrtool
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "sweep.yaml"
    >>> _ = file.write_text('''
    ... base:
    ...   model: {kind: mlp, hidden: [8]}
    ...   data: {kind: digits, batch_size: 256}
    ...   optimizer: {kind: sgd, lr: 0.1}
    ...   schedule: {kind: constant}
    ...   train: {duration: 12}
    ... grid: {optimizer.lr: [0.1, 0.3]}
    ... seeds: 2
    ... ''')
    >>> result = lrtool.sweep(file, progress=False)
    >>> len(result.rows()), result.compare().best
    (4, 'optimizer.lr=0.3')
    """
    asked = AskedSweep.of(config, resume, retry_failed, force, max_trials, seed, overrides)
    options = asked.options(executor, workers, ray_address, slurm_cluster, allow_import, retry_failed)
    if asked.folder is not None and not force and asked.is_over(retry_failed):
        return over(SweepAnswer(asked.folder.path))
    with working(output) as folder:
        return _swept(asked, options, max_trials, force, progress, folder, temporary=output is None)


@dataclass(frozen=True)
class AskedSweep:
    """A sweep that is asked for, and its folder where it goes on."""

    loaded: Sweep
    folder: RunFolder | None

    @classmethod
    def of(
        cls,
        config: str | Path | None,
        resume: str | Path | None,
        retry_failed: bool,
        force: bool,
        most: int,
        seed: int | None,
        overrides: Overrides,
    ) -> AskedSweep:
        """Read it; UsageError where what is asked for does not go together."""
        from lrtool.config.sweep.load import load_sweep

        texts = as_texts(overrides)
        if resume is not None:
            if config is not None or texts or seed is not None:
                raise UsageError(
                    "--resume goes on with the sweep exactly as it was configured",
                    remedy="leave out SWEEP, --set and --seed, or start a new sweep",
                )
            return cls._reopened(Path(resume), most)
        needs_resume(force)
        if retry_failed:
            raise UsageError("--retry-failed needs --resume RUN: a new sweep has no failures yet")
        if config is None:
            raise UsageError("there is nothing to train", where="SWEEP", remedy="give the path of a sweep's file")
        return cls(load_sweep(Path(config), texts, seed, most), None)

    @classmethod
    def _reopened(cls, path: Path, most: int) -> AskedSweep:
        from lrtool.config.document import read_document
        from lrtool.config.sweep.load import load_sweep
        from lrtool.runs.folder import RunFolder

        folder = RunFolder.open(path)
        if "base" not in read_document(folder.config).data:
            made_by = folder.command
            what = "this is not the run of a sweep" + (f" but of {made_by}" if made_by else "")
            resumable = made_by in ("train", "smoke")
            remedy = f"write: lrtool train --resume {path}" if resumable else "give a folder that `lrtool sweep` made"
            raise UsageError(what, where=str(folder.path), remedy=remedy)
        return cls(load_sweep(folder.config, most=most, code_beside=False), folder)

    def options(
        self,
        executor: str,
        workers: int | None,
        ray_address: str | None,
        slurm_cluster: str,
        allow_import: Iterable[str],
        retry_failed: bool,
    ) -> Options:
        """How it is to be trained; it may run the code that it was started with."""
        from lrtool.config.started import allowed_again, check_code
        from lrtool.experiments.sweep.options import Options

        given = frozenset(allow_import)
        if self.folder is None:
            check_code(self.loaded.config, given)
            names = given
        else:
            names = allowed_again(self.loaded.config, given)
        options = Options(executor, workers, ray_address, slurm_cluster, names, retry_failed)
        options.check()
        return options

    def is_over(self, retry_failed: bool) -> bool:
        """Whether every trial has ended, and none is to be trained again."""
        from lrtool.runs.sweep.store import DAMAGED, SweepStore

        folder, wanted = self.folder, self.loaded.config.hash()
        assert folder is not None
        folder.check()
        summary = left_behind(folder)
        counts = summary.get("trials") or {}
        if summary.get("config_hash") != wanted or summary["status"] == Status.INTERRUPTED or not counts:
            return False
        # Whoever works on it has the lock, which the store takes.
        with SweepStore(folder.path) as store:
            ended = [progress for progress in store.progress().values() if progress.status.is_finished]
            whole = len(ended) == counts["planned"] and store.fact(DAMAGED) is None
        return whole and not (retry_failed and counts["failed"])


def _swept(
    asked: AskedSweep, options: Options, most: int, force: bool, progress: bool, folder: Path, temporary: bool
) -> SweepAnswer:
    from lrtool.config.started import remember
    from lrtool.experiments.sweep.sweep import resume_sweep, run_sweep
    from lrtool.report.terminal.board import sweep_board
    from lrtool.report.terminal.progress import progress as showing

    name, quiet = asked.loaded.config.name, not progress
    with showing(f"{name}: tuning the LR", quiet) as watch, sweep_board(name, quiet) as board:
        if asked.folder is not None:
            run = resume_sweep(asked.folder, options, board, watch, most, force)
            return SweepAnswer(run.folder.path, None, run)
        remember(asked.loaded.config, options.allow_import)
        run = run_sweep(asked.loaded, folder, options, board, watch)
    return SweepAnswer(run.folder.path, folder if temporary else None, run)
