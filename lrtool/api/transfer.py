"""`lrtool.transfer`: the LR for a run too expensive to tune."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrtool.api.asked import Overrides, read_config
from lrtool.api.results.transfer import TransferAnswer
from lrtool.api.running import working
from lrtool.errors import UsageError


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
    progress: bool = True,
    output: str | Path | None = None,
) -> TransferAnswer:
    """Find how the best LR moves with duration, batch size or width, and say it for a run that costs much.

    config: what is trained; not needed with `points`.
    to: the target, {"train.duration": "50ep"}, texts KEY=VALUE, or the path of a second config.
    points: a CSV file of points that are there already, with columns for the keys, `lr` and `loss`: nothing is trained.
    budget: cost at most, in times of the target run; unsaid, a quarter of it.

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
    from lrtool.experiments.transfer.target import texts_of

    texts = texts_of(to)
    if points is None:
        raise UsageError("no points are given", where="--points", remedy="write --points FILE")
    with working(output) as folder:
        from lrtool.experiments.transfer.measured import transfer_points

        checked = read_config(config, overrides, seed) if config is not None else None
        if budget is not None:
            raise UsageError("points cost nothing", where="--budget", remedy="leave it out, or leave out --points")
        run = transfer_points(Path(points), texts, folder, checked)
    answer = TransferAnswer(run.folder.path, folder if output is None else None, None, run.found)
    answer.settings = [text for text in texts if "=" in text] if checked is not None else ()
    return answer
