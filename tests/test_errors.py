import signal

import pytest
from pydantic import BaseModel, field_serializer
from pydantic_core import PydanticSerializationError

from lrtool import errors
from lrtool.errors import ExitCode, Interrupted, OutputError, uncovered


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.LrtoolError, 1),
        (errors.UsageError, 2),
        (errors.ScheduleError, 2),
        (errors.TaskError, 4),
        (errors.OutputError, 5),
    ],
)
def test_each_kind_has_its_exit_code(kind, code):
    error = kind("it broke", where="here", remedy="mend it")
    assert error.exit_code == code
    assert str(error) == "here: it broke; mend it"
    assert (error.what, error.where, error.remedy) == ("it broke", "here", "mend it")
    assert str(kind("it broke")) == "it broke"


def test_a_run_that_diverged_has_its_own_exit_code():
    assert ExitCode.DIVERGED == 3


def test_schedule_errors_are_value_errors():
    assert issubclass(errors.ScheduleError, ValueError)


def test_a_missing_extra_says_how_to_install_it():
    error = errors.MissingExtraError("mnist1d", extra="datasets")
    assert "pip install 'lrtool[datasets]'" in str(error)
    assert error.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(("signum", "code"), [(2, ExitCode.INTERRUPTED), (15, ExitCode.TERMINATED)])
def test_interrupts_carry_the_signal(signum, code):
    error = errors.Interrupted(signum)
    assert isinstance(error, KeyboardInterrupt)
    assert error.exit_code == code


class Written(BaseModel):
    """Its field is written by a function, as schedules are."""

    value: int

    @field_serializer("value")
    def _write(self, value):
        raise Interrupted(signal.SIGTERM)


def test_a_signal_is_one_also_where_a_library_made_an_error_of_it():
    with pytest.raises(PydanticSerializationError):
        Written(value=1).model_dump()
    with pytest.raises(Interrupted) as stop, uncovered():
        Written(value=1).model_dump()
    assert stop.value.signum == signal.SIGTERM


def test_other_errors_stay_what_they_are():
    def answer():
        try:
            raise Interrupted(signal.SIGTERM)
        except Interrupted:
            # What fails while a signal is answered is the worse of the two.
            raise OutputError("the disk is full")  # noqa: B904

    with pytest.raises(OutputError, match="the disk is full"), uncovered():
        answer()


def test_a_signal_that_nobody_passed_on_is_the_reason_of_what_fails_after_it(monkeypatch):
    monkeypatch.setattr(Interrupted, "heard", Interrupted(signal.SIGINT))
    with pytest.raises(Interrupted) as stop, uncovered():
        raise TypeError("incompatible function arguments")
    assert stop.value.exit_code == 130
    with pytest.raises(OutputError), uncovered():
        raise OutputError("the disk is full")
