"""Going on with a trial under other settings."""

import numpy as np
import pytest

from lrtool.engine.loop.continuing import check_identity, other_curve
from lrtool.errors import UsageError

IDENTITY = {"seed": 0, "steps": 40, "batch_size": 8, "drop_last": True}


@pytest.mark.parametrize("steps", [25, 40, 90])
def test_a_trial_may_become_longer_than_what_is_done(steps: int) -> None:
    check_identity(IDENTITY, {**IDENTITY, "steps": steps}, 24, "here")


def test_what_older_checkpoints_do_not_say_was_the_default() -> None:
    old = {key: value for key, value in IDENTITY.items() if key != "drop_last"}
    check_identity(old, IDENTITY, 24, "here")
    with pytest.raises(UsageError, match="drop_last True, but this run has False"):
        check_identity(old, {**IDENTITY, "drop_last": False}, 24, "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 24}, "here: .*after 24 updates of 40, but this run has 24 in all; write a train.duration"),
        ({"batch_size": 16}, "batch_size 8, but this run has 16; .*--init-from"),
        ({"seed": 1}, "seed 0, but this run has 1"),
    ],
)
def test_nothing_else_may_be_another(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_identity(IDENTITY, {**IDENTITY, **change}, 24, "here")


def test_another_curve_is_said_and_the_same_one_is_not() -> None:
    lr = np.linspace(1, 0.1, 10)
    assert other_curve(10, lr[:4], lr) == []
    assert other_curve(10, lr[:4] * (1 + 1e-9), lr) == []
    (said,) = other_curve(20, lr[:4], lr)
    assert (
        said
        == "from update 4 on the LR follows the curve of 10 updates, not of 20: it goes on at 0.6; update 3 ran at 0.7"
    )
    (said,) = other_curve(10, lr[:4] * 2, lr)
    assert "another curve than before" in said
    assert other_curve(20, lr[:0], lr) == [
        "from update 0 on the LR follows the curve of 10 updates, not of 20: it goes on at 1"
    ]
