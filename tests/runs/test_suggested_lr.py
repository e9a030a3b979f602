"""The LR that another run suggests is a number above 0, or there is none."""

import json

import pytest

from lrtool.errors import UsageError
from lrtool.runs.suggested_lr import lr_from, lr_is_of

SUMMARY = {
    "schema": 1, "command": "tune", "status": "finished", "reason": "", "steps": 1, "seconds": 1.0, "config_hash": "",
}  # fmt: skip


def said(folder, **more):
    (folder / "config.yaml").write_text("")
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, **more}))
    return folder


@pytest.mark.parametrize("lr", [float("nan"), float("inf"), -0.1, 0, 10**400, True])
def test_what_is_no_lr_is_not_trained_with(tmp_path, lr):
    with pytest.raises(UsageError, match="the summary is damaged"):
        lr_from(said(tmp_path, suggested_lr=lr))


@pytest.mark.parametrize("lr", [float("nan"), -1, 10**400, [1], None])
def test_nor_is_that_of_a_schedule(tmp_path, lr):
    run = said(tmp_path, suggested_lr=0.3, schedules=[{"name": "cosine", "suggested_lr": lr}])
    assert lr_from(run, "cosine") == 0.3 and lr_is_of(run, "wsd") == "wsd"


def test_a_number_is(tmp_path):
    assert lr_from(said(tmp_path, suggested_lr=1)) == 1.0
