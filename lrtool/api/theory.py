"""`lrtool.bound`, `refine`, `predict`, `backtest`: what schedules should do, before paying for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lrtool.api.results.theory import TheoryAnswer
from lrtool.config.specs import ScheduleLike, words


def bound(
    schedules: ScheduleLike | Sequence[ScheduleLike],
    *,
    steps: int | Sequence[int] | None = None,
    lr: float | None = None,
    steps_per_epoch: int | None = None,
    grad_norms: str | Path | None = None,
    grad_norm: float = 1.0,
    distance: float = 1.0,
) -> TheoryAnswer:
    """Rank schedules by the convergence bound of their last iterate, and say how their best LRs compare.

    schedules: one or several, each a kind, a text ("cosine warmup=5%"), a config's path or a run folder.
    steps: updates, or several lengths; unsaid, the config's, else 1000. `lr`: the peak that absolute levels are parts
        of. `steps_per_epoch`: needed where durations are in epochs.
    grad_norms: a run folder whose logged gradient norms are taken; `grad_norm`: the constant that stands in for them.
    distance: from the start to a minimiser.

    >>> import lrtool
    >>> result = lrtool.bound(["linear", "cosine", "constant"], steps=400)
    >>> [(row["name"], round(row["lr_ratio"], 3)) for row in result.rows()]
    [('linear', 1.0), ('cosine', 0.973), ('constant', 0.367)]
    """
    from lrtool.report.theory.bound import BoundRanking

    given = [schedules] if isinstance(schedules, str | Path) else list(schedules)
    items = [word for each in given for word in words(str(each))]
    lengths = [] if steps is None else [steps] if isinstance(steps, int) else steps
    return TheoryAnswer(
        BoundRanking.of(
            items, lr, [str(each) for each in lengths], steps_per_epoch, grad_norms, grad_norm,
            distance,
        )
    )  # fmt: skip


def predict(
    runs: Sequence[str | Path],
    targets: str | Path | Sequence[str | Path] = (),
    *,
    optimize: bool = False,
    steps: int | str | None = None,
    steps_per_epoch: int | None = None,
    metric: str | None = None,
) -> TheoryAnswer:
    """Predict the loss curves of other schedules and lengths, by a law fitted to two or three finished runs.

    runs: run folders of trainings, or CSV files with the columns step, lr and loss, under different schedules.
    targets: what to predict: configs, kinds with their fields ("cosine warmup=5%"), run folders, CSV files.
    optimize: also find the schedule with the lowest predicted loss, for the first target. `metric`: the loss's column.
    steps, steps_per_epoch: the length of targets that do not say it, and of an epoch.

    >>> import tempfile, pathlib, lrtool
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name, final in (("constant", 0.1), ("linear", 0.01)):
    ...     down = (0.1 - final) / 500
    ...     rows = [(t, 0.1 - down * t, 2 + (t + 9) ** -0.5 - down * t) for t in range(501)]
    ...     text = "".join(f"{t},{lr},{loss}\\n" for t, lr, loss in rows)
    ...     _ = (folder / f"{name}.csv").write_text("step,lr,loss\\n" + text)
    >>> result = lrtool.predict([folder / "constant.csv", folder / "linear.csv"], "cosine final=10%", steps=500)
    >>> [row["name"] for row in result.rows()], 1.9 < result.rows()[0]["loss"] < 2.0
    (['cosine final=10%'], True)
    """
    from lrtool.report.theory.prediction import LawPrediction

    goals = [targets] if isinstance(targets, str | Path) else targets
    length = None if steps is None else str(steps)
    return TheoryAnswer(
        LawPrediction.of(runs, [str(each) for each in goals], optimize, length, steps_per_epoch, metric)
    )


def backtest(
    runs: Sequence[str | Path], tests: Sequence[str | Path] = (), *, metric: str | None = None
) -> TheoryAnswer:
    """Leave each run out, predict it by the laws fitted to the others, and say how far off that is.

    runs: run folders of trainings, or CSV files with the columns step, lr and loss. `tests`: predict these instead, by
        the laws fitted to all of `runs`. `metric`: the loss's column.

    >>> import tempfile, pathlib, lrtool
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for number, final in enumerate((0.1, 0.05, 0.01)):
    ...     down = (0.1 - final) / 500
    ...     rows = [(t, 0.1 - down * t, 2 + (t + 9) ** -0.5 - down * t) for t in range(501)]
    ...     text = "".join(f"{t},{lr},{loss}\\n" for t, lr, loss in rows)
    ...     _ = (folder / f"{number}.csv").write_text("step,lr,loss\\n" + text)
    >>> result = lrtool.backtest(sorted(folder.iterdir()))
    >>> len(result.rows()), sorted(result.rows()[0])[:3]
    (6, ['final_error', 'law', 'mae'])
    """
    from lrtool.report.theory.backtest import Backtest

    return TheoryAnswer(Backtest.of(runs, tests, metric))


def refine(run: str | Path, *, norm: Literal["l1", "l2"] | None = None) -> TheoryAnswer:
    """Make the schedule that theory holds best for the gradient norms that a run had.

    run: the folder of a training that logged them (`train.grad_norm: true`). `norm`: which to follow; unsaid, L2 for
        SGD and L1 for others. `save` writes the schedule as a table that `train` takes.

    >>> import tempfile, pathlib, lrtool
    >>> config = {"model": "linear", "data": {"kind": "spirals", "samples": 240},
    ...           "optimizer": {"kind": "sgd", "lr": 0.1}, "train": {"duration": 40, "grad_norm": True}}
    >>> folder = lrtool.train(config, progress=False).save(pathlib.Path(tempfile.mkdtemp()) / "run")
    >>> result = lrtool.refine(folder)
    >>> len(result.rows()), result.rows()[-1]["factor"]
    (40, 0.0)
    """
    from lrtool.report.theory.refined import Refined

    return TheoryAnswer(Refined.of(run, norm))
