"""What a task's code raises becomes one error with the user's line."""

from pathlib import Path

import pytest

import lrtool
from lrtool.errors import TaskError, UsageError
from lrtool.tasks.failures import guarded, task_error


def raised_in(filename: str, source: str) -> BaseException:
    """What running the source, as if it stood in a file of that name, raises."""
    try:
        exec(compile(source, filename, "exec"), {})
    except BaseException as error:
        # The first frame is this function's own.
        assert error.__traceback__ is not None
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError("nothing was raised")


def test_the_place_is_the_users_line_not_the_librarys() -> None:
    error = raised_in("/home/me/net.py", "import json\n\njson.loads('{')")
    assert task_error(error, "the model").where == "/home/me/net.py:3"


def test_a_neighbour_with_a_similar_name_is_the_users() -> None:
    package = Path(lrtool.__file__).resolve().parent
    assert task_error(raised_in(f"{package}_mine/net.py", "1/0"), "x", "model").where == f"{package}_mine/net.py:1"
    assert task_error(raised_in(f"{package}/net.py", "1/0"), "x", "model").where == "model"


def test_the_message_is_one_line() -> None:
    error = task_error(raised_in("a.py", "raise ValueError('two\\n  lines')"), "the model")
    assert str(error) == "a.py:1: the model raised ValueError: two lines"
    assert task_error(KeyError(), "the loss").what == "the loss raised KeyError"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_running_out_of_memory_has_a_remedy(error: Exception) -> None:
    assert "smaller data.batch_size" in str(task_error(error, "the update"))


def test_lrtools_own_errors_and_interrupts_pass() -> None:
    for error in (UsageError("x"), TaskError("y"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, guarded("z"):
            raise error
        assert caught.value is error
