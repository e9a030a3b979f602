"""Whatever a logger does on its thread, the run goes on, and hears of it once."""

import logging
import socket
import threading
import time

import numpy as np
import pytest
from pydantic import ConfigDict

from lrtool.loggers import LOGGERS, addresses, background
from lrtool.loggers.background import Background
from lrtool.loggers.base import Logger, LoggerRun
from lrtool.loggers.records import About, EndedTrial, Ending, Rows
from lrtool.status import Status

ENDING = Ending(Status.FINISHED, {"summary/steps": 3})


class Told(Logger, LoggerRun):
    """Keeps what it is told; raises or hangs in one of its methods. Its kind has no default: it is not listed."""

    kept: list
    at: str = ""
    error: BaseException | None = None
    remote: bool = False
    hang: float = 0.0

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    @property
    def is_remote(self):
        return self.remote

    def open(self, about, state):
        state.setdefault("id", "first")
        self._do("open", about.title)
        return self

    def write(self, points):
        self._do("write", points)

    def trial(self, trial):
        self._do("trial", trial.number)

    def finish(self, ending):
        self._do("finish", ending.status)

    def _do(self, what, told):
        self.kept.append((what, told))
        if what == self.at:
            time.sleep(self.hang)
            if self.error is not None:
                raise self.error


@pytest.fixture
def about(tmp_path):
    return About(tmp_path, "name", "train", {}, "")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(background, "_EVERY", 0.01)


def rows(step):
    return Rows(np.array([step]), {"loss": np.array([1.0])}, 0.0)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_everything_comes_in_order(about):
    told = Told(kind="told", kept=[])
    logger = Background(told, about)
    logger.tell(rows(0))
    logger.tell(EndedTrial(7, "a", {}, Status.FINISHED, "", {}))
    logger.close(ENDING)
    assert [what for what, _ in told.kept] == ["open", "write", "trial", "finish"]


@pytest.mark.parametrize("error", [ValueError("no\nway"), KeyError("x"), SystemExit(3), MemoryError()])
@pytest.mark.parametrize("at", ["open", "write", "trial", "finish"])
def test_one_that_raises_is_said_once(about, at, error, caplog):
    told = Told(kind="told", kept=[], at=at, error=error)
    logger = Background(told, about)
    for step in range(3):
        logger.tell(rows(step))
        logger.tell(EndedTrial(step, "a", {}, Status.FINISHED, "", {}))
        time.sleep(0.03)
    logger.close(ENDING)
    assert len(warnings(caplog)) == 1 and "told failed, and the run goes on without it" in warnings(caplog)[0]
    assert "\n" not in warnings(caplog)[0]
    assert [what for what, _ in told.kept].count(at) == 1


@pytest.mark.parametrize("at", ["open", "write", "finish"])
def test_one_that_hangs_is_waited_for_so_long_only(about, at, caplog):
    told = Told(kind="told", kept=[], at=at, hang=3, timeout=0.2, remote=True)
    began = time.monotonic()
    logger = Background(told, about)
    for step in range(100):
        logger.tell(rows(step))
    logger.close(ENDING)
    assert time.monotonic() - began < 1
    (said,) = warnings(caplog)
    assert "has not written everything within 0.2 seconds" in said and "timeout: 0.8" in said


def test_one_that_has_hung_for_long_is_not_waited_for(about):
    logger = Background(Told(kind="told", kept=[], at="open", hang=3, timeout=0.3, remote=True), about)
    time.sleep(0.4)
    began = time.monotonic()
    logger.close(ENDING)
    assert time.monotonic() - began < 0.2


def test_the_queue_is_bounded(about, monkeypatch, caplog):
    monkeypatch.setattr(background, "_MOST", 10)
    logger = Background(Told(kind="told", kept=[], at="open", hang=0.5, remote=True), about)
    for step in range(100):
        logger.tell(rows(step))
    assert len(logger._queue) == 5
    logger.close(ENDING)
    assert warnings(caplog) == ["told is too slow: some of what was measured is left out"]


def test_writing_takes_a_small_part_of_the_time(about, monkeypatch):
    """What there is no time for is written at the end, and together."""
    clock = iter(range(1000))
    monkeypatch.setattr(background.time, "thread_time", lambda: next(clock) * 0.05)
    told = Told(kind="told", kept=[])
    logger = Background(told, about)
    for step in range(30):
        logger.tell(rows(step))
        time.sleep(0.01)
    before = [points for what, points in told.kept if what == "write"]
    logger.close(ENDING)
    writes = [points for what, points in told.kept if what == "write"]
    assert len(before) <= 1 and sum(map(len, writes)) == 30


def test_a_thread_that_cannot_be_started_is_said(about, monkeypatch, caplog):
    def refused(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    logger = Background(Told(kind="told", kept=[]), about)
    logger.tell(rows(0))
    logger.close(ENDING)
    assert "can't start new thread" in warnings(caplog)[0]


def test_what_a_resumed_run_must_know_is_kept(about):
    first = Background(Told(kind="told", kept=[]), about)
    first.tell(rows(4))
    first.tell(Rows(np.array([2]), {"val": np.array([1.0])}, 0.0, is_evaluation=True))
    first.tell(EndedTrial(7, "a", {}, Status.FINISHED, "", {}))
    first.close(ENDING)
    again = Background(Told(kind="told", kept=[]), about)
    again.close(ENDING)
    assert (again.logged, again.evaluated, again.trials) == (5, 3, {7}) and again._state["id"] == "first"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_what_is_damaged_counts_as_nothing(about, text):
    (about.folder / "logging").mkdir()
    (about.folder / "logging" / "told.json").write_text(text)
    (about.folder / "logging" / "told.trials").write_text("1\nx\n2")
    logger = Background(Told(kind="told", kept=[]), about)
    logger.close(ENDING)
    assert logger.logged == 0 and logger.trials == {1, 2}


def test_secrets_are_not_said(about, caplog, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "HUSH")
    error = ConnectionError("https://me:HASH@host said no to HUSH")
    Background(Told(kind="told", kept=[], at="open", error=error), about).close(ENDING)
    (said,) = warnings(caplog)
    assert "HUSH" not in said and "HASH" not in said and "@host" in said


def test_ten_thousand_trials_wait_in_line(about):
    told = Told(kind="told", kept=[])
    logger = Background(told, about)
    curve = {name: np.zeros(200) for name in ("step", "lr", "train_loss")}
    for number in range(10_000):
        logger.tell(EndedTrial(number, "a", {}, Status.FINISHED, "", {}, curve))
    logger.close(ENDING)
    assert len(told.kept) == 10_002


@pytest.fixture
def silent_port(monkeypatch):
    """A port that takes connections and says nothing."""
    monkeypatch.setattr(addresses, "_PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("server", ["http://no.such.host.invalid:5000", "http://127.0.0.1:1", "silent"])
@pytest.mark.parametrize("kind", ["mlflow", "wandb"])
def test_a_server_that_is_away_is_said_once(kind, server, about, silent_port, caplog, monkeypatch):
    """Neither package is needed for that: the server is looked for first."""
    url = f"http://127.0.0.1:{silent_port}" if server == "silent" else server
    monkeypatch.setenv("WANDB_BASE_URL", url)
    fields = {"uri": url} if kind == "mlflow" else {"mode": "online"}
    began = time.monotonic()
    logger = Background(LOGGERS[kind].model_validate(fields), about)
    assert time.monotonic() - began < 1
    for step in range(50):
        logger.tell(rows(step))
    logger.close(ENDING)
    (said,) = warnings(caplog)
    assert f"{kind} failed, and the run goes on without it: its server {url}" in said and "is away" in said
