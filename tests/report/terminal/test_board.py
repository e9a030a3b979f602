import io

import pytest

from lrtool.report.terminal.board import PlainBoard, SweepBoard
from lrtool.runs.sweep.store import StoredTrial
from lrtool.status import Status


def trial(number, status, loss=None):
    values = {} if loss is None else {"val_loss": loss}
    return StoredTrial(number, f"v{number}", {}, 0, Status(status), 10, 1.0, values)


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


def test_the_text_counts_what_was_pruned_apart_from_what_went_wrong(clock):
    board = SweepBoard("name", clock)
    board.begin(6, [])
    clock.now = 10.0
    board.advanced(500)
    for number, status in enumerate(["finished", "diverged", "failed", "pruned"]):
        board.ended(trial(number, status))
    assert board.text() == "name: 4/6 trials, 2 diverged or failed, 1 pruned, 50 updates/s, ETA 5 s"


def test_plain_lines_come_every_ten_seconds_and_name_the_best(clock):
    stream = io.StringIO()
    board = PlainBoard("name", stream, clock)
    board.begin(3, [trial(9, "finished", 0.75)])
    board.ended(trial(0, "finished", 0.5))
    clock.now = 11.0
    board.ended(trial(1, "finished", 0.25))
    board.ended(trial(2, "pruned"))
    board.close()
    first, middle, last = stream.getvalue().splitlines()
    assert first == "name: 3 trials (1 are done already)" and "best: v1 (val_loss 0.25)" in middle
    assert last == "name: 3/3 trials, 1 pruned"


def test_where_trials_are_pruned_the_eta_counts_the_work_that_is_left(clock):
    board = SweepBoard("name", clock)
    # 9 trials at a third of a run, the best 3 to the end: 6 runs of work.
    board.begin(9, [], work=6.0)
    clock.now = 30.0
    for _ in range(9):
        board.worked(1 / 3)
    assert board.text() == "name: 0/9 trials, ETA 30 s"
    for number in range(6):
        board.ended(trial(number, "pruned"))
    clock.now = 50.0
    board.worked(1.0)
    board.worked(1.0)
    board.ended(trial(7, "finished", 0.5))
    board.ended(trial(8, "finished", 0.4))
    assert board.text() == "name: 8/9 trials, 6 pruned, ETA 10 s"
    clock.now = 60.0
    board.worked(1.0)
    board.ended(trial(9, "finished", 0.3))
    assert board.text() == "name: 9/9 trials, 6 pruned"


def test_why_trials_fail_is_told_once(clock):
    stream = io.StringIO()
    board = PlainBoard("name", stream, clock)
    board.begin(9, [])
    for number in range(6):
        why = f"reason {number % 2}" if number < 4 else f"reason {number}"
        board.ended(StoredTrial(number, f"v{number}", {}, 0, Status.FAILED, 0, 0.0, message=why))
    assert [line for line in stream.getvalue().splitlines() if line.startswith("failed")] == [
        "failed: v0: reason 0", "failed: v1: reason 1", "failed: v4: reason 4"
    ]  # fmt: skip
