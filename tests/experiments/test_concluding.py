"""What is said of a run whose validation took much of its time."""

import pytest

from lrtool.experiments.concluding import ValidationTime
from lrtool.units import Duration


@pytest.mark.parametrize(
    ("spent", "written", "said"),
    [
        (ValidationTime(10, 5, 20, 440, 22), "1ep", None),
        (ValidationTime(10, 0, 0, 440, 22), "1ep", None),
        (ValidationTime(10, 7, 20, 440, 22), "1ep", "took 41% of the time; train.eval_every: 5ep would make it 12%"),
        (ValidationTime(10, 40, 44, 440, 10), 10, "took 80% of the time; train.eval_every: 200 would make it 17%"),
        (ValidationTime(10, 10, 20, 400, 20), "5%", "took 50% of the time; train.eval_every: 25% would make it 17%"),
        (ValidationTime(10, 10, 4, 400, 100), "0.5ep", "took 50% of the time; train.eval_every: 0 would"),
        (ValidationTime(10, 10, 1, 400, 0), 0, "took 50% of the time; a smaller data.val_fraction"),
    ],
)
def test_a_share_above_a_third_is_said_with_what_to_write(
    spent: ValidationTime, written: str | int, said: str | None
) -> None:
    notes = spent.notes(Duration.parse(written))
    assert (said is None and notes == ()) or (said is not None and said in notes[0])


def test_what_is_proposed_is_a_duration_that_fits_the_run() -> None:
    for times in (2, 3, 7, 40, 1000):
        spent = ValidationTime(10, 100, times, 10 * times, 10)
        proposed = spent.notes(Duration(10))[0].split("eval_every: ")[1].split(" ")[0]
        assert Duration.parse(proposed).steps() < spent.steps
