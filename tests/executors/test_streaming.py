"""A job in a thread of its own, and what it says."""

import threading
import time

import pytest

from lrtool.executors.streaming import streamed


@pytest.fixture(autouse=True)
def not_daemonic(monkeypatch):
    """This process may have children again afterwards."""
    import multiprocessing

    yield
    multiprocessing.current_process().daemon = False


def test_results_come_in_order_and_the_end_last():
    said = list(streamed(lambda job, report: [report(number) for number in range(job)], 1000))
    assert [each for kind, content in said[:-1] for each in content] == list(range(1000))
    assert {kind for kind, _ in said[:-1]} == {"results"} and said[-1] == ("done", None)
    assert len(said) < 100


def test_a_result_is_not_kept_until_the_job_ends():
    go_on = threading.Event()

    def work(job, report):
        report(1)
        assert go_on.wait(60)
        report(2)

    said = streamed(work, None)
    assert next(said) == ("results", [1])
    go_on.set()
    assert list(said) == [("results", [2]), ("done", None)]


def test_it_is_heard_that_nothing_is_said():
    go_on = threading.Event()
    said = streamed(lambda job, report: report(go_on.wait(60)), None, beat=0.02)
    assert [next(said) for _ in range(3)] == [("beat", None)] * 3
    go_on.set()
    assert [each for each in said if each[0] != "beat"] == [("results", [True]), ("done", None)]


def test_results_are_said_before_the_error():
    def work(job, report):
        report(1)
        raise ValueError("three is not liked")

    first, (kind, text) = streamed(work, None)
    assert first == ("results", [1]) and kind == "error"
    assert "three is not liked" in text and "Traceback" in text


def test_many_small_results_are_one_message():
    def work(job, report):
        for number in range(20):
            report(number)
            time.sleep(0.001)

    assert len(list(streamed(work, None))) < 10
