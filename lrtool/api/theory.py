"""`lrtool.bound`, `refine`, `predict`, `backtest`: what schedules should do, before paying for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lrtool.api.results.theory import BoundAnswer
from lrtool.config.specs import ScheduleLike


def bound(
    schedules: ScheduleLike | Sequence[ScheduleLike],
    *,
    steps: int | Sequence[int] | None = None,
    lr: float | None = None,
    steps_per_epoch: int | None = None,
    grad_norms: str | Path | None = None,
    grad_norm: float = 1.0,
    distance: float = 1.0,
) -> BoundAnswer:
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
    words = [word for each in given for word in str(each).split()]
    lengths = [] if steps is None else [steps] if isinstance(steps, int) else steps
    return BoundAnswer(
        BoundRanking.of(
            words, lr, [str(each) for each in lengths], steps_per_epoch, grad_norms, grad_norm,
            distance,
        )
    )  # fmt: skip
