import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from lrtool.report.terminal.live import clock_time
from lrtool.report.terminal.progress import progress
from lrtool.status import Status


class Clock:
    """A clock that tests turn."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def trace(steps, status=Status.FINISHED):
    return SimpleNamespace(train_loss=np.linspace(2, 1, steps), lr=np.full(steps, 0.1), status=status)


def test_plain_lines_say_loss_lr_and_time_to_go(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    out, clock = io.StringIO(), Clock()
    with progress("digits", stream=out, clock=clock) as watch:
        observer = watch(1, 100)
        for done in range(10, 101, 10):
            clock.now += 4
            observer.recorded(0, trace(done), done - 10)
        observer.evaluated(0, SimpleNamespace(values={"val_loss": 0.5}))
        observer.ended(0, trace(100))
    lines = out.getvalue().splitlines()
    assert lines[0] == "digits: 100 steps"
    assert lines[1] == "digits: 10/100 steps, loss 1, lr 0.1"  # one point shows no speed yet
    assert lines[2].startswith("digits: 40/100 steps") and lines[2].endswith("ETA 24 s")  # 12 s later, not sooner
    assert lines[-1] == "digits: 100/100 steps, loss 1, lr 0.1, val_loss 0.5, 2.5 steps/s, finished in 40 s"
    assert len(lines) == 6
    assert all(sign.isprintable() for line in lines for sign in line)


def test_what_cannot_be_counted_is_said():
    for out in (io.StringIO(), Terminal()):
        with progress("digits", stream=out) as watch:
            watch.say("measuring")
            assert "digits: measuring" in out.getvalue()
    with progress("digits", quiet=True, stream=io.StringIO()) as watch:
        watch.say("measuring")


def test_what_was_done_before_a_resume_is_done_but_no_speed():
    out, clock = io.StringIO(), Clock()
    with progress("digits", stream=out, clock=clock) as watch:
        observer = watch(1, 1000, 900)
        clock.now += 10
        observer.recorded(0, trace(910), 900)
        clock.now += 20
        observer.recorded(0, trace(930), 910)
    assert "910/1,000 steps" in out.getvalue()
    assert "930/1,000 steps, loss 1, lr 0.1, 1 steps/s, ETA 1:10" in out.getvalue()


def test_a_trial_that_ends_early_leaves_less_to_do():
    out, clock = io.StringIO(), Clock()
    with progress("digits", stream=out, clock=clock) as watch:
        observer = watch(3, 100)
        clock.now += 10
        observer.ended(0, trace(20, Status.DIVERGED))
        assert (observer.state.done, observer.state.total) == (20, 220)
        observer.ended(1, trace(100))
        clock.now += 10
        observer.ended(2, trace(100))
    assert (observer.state.done, observer.state.total) == (220, 220)
    assert "trial 3/3, 220/220 steps" in out.getvalue() and "finished in 20 s" in out.getvalue()


def test_the_outcome_of_a_single_trial_is_named():
    out = io.StringIO()
    with progress("digits", stream=out, clock=Clock()) as watch:
        watch(1, 100).ended(0, trace(20, Status.DIVERGED))
    assert "diverged in 0 s" in out.getvalue()


def test_quiet_says_nothing():
    out = io.StringIO()
    with progress("digits", quiet=True, stream=out) as watch:
        observer = watch(1, 10)
        observer.recorded(0, trace(10), 0)
        observer.ended(0, trace(10))
    assert out.getvalue() == ""


def test_a_terminal_gets_a_live_display_with_sparklines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    out, clock = Terminal(), Clock()
    stderr = sys.stderr
    with progress("digits", stream=out, clock=clock) as watch:
        observer = watch(1, 100)
        for done in range(1, 101):
            clock.now += 0.01
            observer.recorded(0, trace(done), done - 1)
        observer.ended(0, trace(100))
    text = out.getvalue()
    assert text.count("ETA") <= 6  # five a second
    assert "█▇" in text and "digits" in text and "100/100 steps" in text and "finished in 1 s" in text
    assert text.endswith("\x1b[?25h")  # the cursor is back
    assert sys.stderr is stderr


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    with progress("digits", stream=out, clock=Clock()) as watch:
        watch(1, 10).ended(0, trace(10))
    assert "\x1b" not in out.getvalue() and "10/10 steps" in out.getvalue()


def test_a_display_is_put_away_when_the_work_fails(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with pytest.raises(RuntimeError), progress("digits", stream=out, clock=Clock()) as watch:
        watch(1, 10).recorded(0, trace(5), 0)
        raise RuntimeError
    assert out.getvalue().endswith("\x1b[?25h")


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


class BrokenTerminal(Broken):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Broken(), BrokenTerminal()])
def test_a_broken_stream_never_ends_the_work(monkeypatch, stream):
    monkeypatch.setenv("TERM", "xterm")
    with progress("digits", stream=stream, clock=Clock()) as watch:
        observer = watch(1, 10)
        observer.recorded(0, trace(5), 0)
        observer.ended(0, trace(10))
    assert observer.state.outcome == "finished"


def test_a_stream_that_knows_ascii_only_gets_ascii():
    raw = io.BytesIO()
    with progress("β", stream=io.TextIOWrapper(raw, encoding="ascii"), clock=Clock()) as watch:
        watch(1, 10)
        assert raw.getvalue() == b"beta: 10 steps\n"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.6, "1:00"), (3600, "1:00:00"), (90061, "25:01:01")])
def test_durations_are_written_for_people(seconds, text):
    assert clock_time(seconds) == text


def test_groups_of_trials_that_are_expected_share_one_bar_and_what_is_noted_stays():
    out, clock = io.StringIO(), Clock()
    with progress("digits", stream=out, clock=clock) as watch:
        watch.note("cost: 300 updates\nor so")
        watch.expect(300)
        for trials, steps in ((2, 50), (1, 100)):
            observer = watch(trials, steps)
            for trial in range(trials):
                clock.now += 20
                observer.recorded(trial, trace(steps), 0)
                observer.ended(trial, trace(steps))
        watch.expect(260)
        watch.finished()
    lines = out.getvalue().splitlines()
    assert lines[:3] == ["cost: 300 updates", "or so", "digits: 300 steps"]
    assert sum("finished" in line for line in lines) == 1 and lines[-1].endswith("finished in 1:00")
    assert "200/200 steps" in lines[-1] and any("100/300 steps" in line for line in lines)
