"""Loggers are asked for by name, and opened for a run."""

import pytest

from lrtool.errors import UsageError
from lrtool.experiments.observers import Observers, Offset
from lrtool.loggers import LOGGERS, VARIABLE, Logger, opened


class Told(Logger):
    """Keeps what it is told."""

    name = "told"

    def __init__(self, folder):
        self.folder, self.heard = folder, []

    @classmethod
    def open(cls, folder):
        return cls(folder)

    def begin(self, trials, first=0):
        self.heard.append(("begin", len(trials), first))

    def ended(self, trial, trace):
        self.heard.append(("ended", trial))

    def close(self):
        self.heard.append("closed")


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setitem(LOGGERS.kinds, "told", Told)
    monkeypatch.setenv(VARIABLE, "told, told,")


def test_without_a_wish_there_is_none(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert opened(tmp_path) == []


@pytest.mark.usefixtures("told")
def test_each_is_opened_once_for_the_folder(tmp_path):
    (logger,) = opened(tmp_path)
    assert isinstance(logger, Told) and logger.folder == tmp_path


def test_an_unknown_one_is_a_usage_error(tmp_path, monkeypatch, told):
    monkeypatch.setenv(VARIABLE, "tolt")
    with pytest.raises(UsageError, match=r"LRTOOL_LOG: there is no logger 'tolt'; did you mean 'told'\?"):
        opened(tmp_path)


def test_trials_of_later_calls_are_numbered_on(tmp_path):
    logger = Told(tmp_path)
    Offset(Observers(logger), 5).begin([1, 2])
    Offset(Observers(logger), 5).ended(1, None)
    Offset(Observers(logger), 5).close()
    assert logger.heard == [("begin", 2, 5), ("ended", 6), "closed"]


def test_one_that_cannot_be_closed_keeps_no_other_open(tmp_path):
    class Failing(Told):
        def close(self):
            raise OSError("gone")

    logger = Told(tmp_path)
    with pytest.raises(OSError, match="gone"):
        Observers(Failing(tmp_path), logger).close()
    assert logger.heard == ["closed"]
