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
