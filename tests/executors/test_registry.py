"""Executors are found by name; which one is taken where none is asked for."""

import math

import pytest

from lrtool.errors import UsageError
from lrtool.executors import EXECUTORS, asked_for, check, names, unasked
from lrtool.executors.inprocess import InProcess
from lrtool.executors.local import LocalProcesses, cores


def test_what_the_option_takes():
    assert names()[0] == "auto" and {"in-process", "local"} <= set(names())
    assert {name: cls.name for name, cls in EXECUTORS.kinds.items()} == {name: name for name in names()[1:]}
    assert all(cls.does for cls in EXECUTORS.kinds.values())


@pytest.mark.parametrize(("name", "remedy"), [("In_Process", "did you mean 'in-process'"), ("dask", "one of: auto, ")])
def test_an_unknown_one_is_a_usage_error(name, remedy):
    with pytest.raises(UsageError, match=f"--executor: there is no executor '{name}'.*{remedy}"):
        check(name, "--executor")


def test_the_one_that_is_asked_for_is_started_with_so_many_workers():
    assert asked_for("auto", 3) is None
    assert isinstance(asked_for("in-process", 3), InProcess) and asked_for("in-process", 3).workers == 1
    local = asked_for("local", 3)
    assert isinstance(local, LocalProcesses) and local.workers == 3
    assert asked_for("local", None).workers == cores()


@pytest.mark.parametrize(
    ("updates", "workers", "kind"),
    [(0, 4, InProcess), (19_999, 4, InProcess), (20_000, 4, LocalProcesses), (math.inf, 1, InProcess)],
)
def test_unasked_it_is_what_is_worth_starting(updates, workers, kind):
    assert type(unasked(updates, workers)) is kind
