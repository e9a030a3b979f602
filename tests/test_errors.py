import pytest

from lrtool import errors
from lrtool.errors import ExitCode


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
