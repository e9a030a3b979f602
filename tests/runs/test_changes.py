"""What may change in a run that goes on."""

import pytest

from lrtool.errors import UsageError
from lrtool.runs.changes import check_changes

CONFIG = {
    "name": "a", "seed": 0, "data": {"kind": "digits", "batch_size": 8}, "schedule": {"kind": "cosine", "final": 0.0},
    "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9}, "train": {"duration": "5ep", "accumulate": 1},
}  # fmt: skip


def changed(section, **values):
    return {**CONFIG, section: {**CONFIG[section], **values}}


@pytest.mark.parametrize(
    "now",
    [
        CONFIG,
        changed("train", duration=90),
        changed("train", eval_every=3),
        changed("optimizer", lr=0.5),
        {**CONFIG, "schedule": {"kind": "wsd", "decay": "20%"}},
        {**CONFIG, "name": "b", "device": "cpu"},
    ],
)
def test_a_run_goes_on_with_another_length_or_curve(now):
    check_changes(CONFIG, now, "run")


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (changed("data", batch_size=9), r"^run: .*another data\.batch_size \(8 → 9\).*--init-from"),
        (changed("data", kind="csv"), r"data\.kind"),
        (changed("optimizer", momentum=0.5), r"optimizer\.momentum"),
        (changed("train", accumulate=2, duration=9), r"another train\.accumulate \(1 → 2\);"),
        ({**CONFIG, "seed": 1}, r"seed \(0 → 1\)"),
        ({**CONFIG, "model": {"kind": "mlp"}}, r"model\.kind \(None → 'mlp'\)"),
    ],
)
def test_nothing_else_may_change(now, message):
    with pytest.raises(UsageError, match=message):
        check_changes(CONFIG, now, "run")
