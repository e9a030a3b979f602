import multiprocessing
import signal

import pytest
import torch

from lrtool.engine.feeding.drawn import DrawnFeed
from lrtool.engine.feeding.workers import WorkersFeed
from lrtool.errors import TaskError
from lrtool.tasks.sources import DatasetSource, Loading
from tests.engine.feeding.parts import Drawn, drawn_task, task_of, values, whole

CPU = torch.device("cpu")


class Broken(Drawn):
    def __getitem__(self, i):
        if i == 7:
            raise FileNotFoundError("7.png")
        return super().__getitem__(i)


def feeds(task):
    drawn = DrawnFeed(task, 5, CPU, whole)
    return drawn, WorkersFeed(drawn, task.train)


def test_batches_are_those_that_one_process_fetches_from_any_on():
    drawn, workers = feeds(drawn_task(loading=Loading(2)))
    try:
        for m in (4, 5, 6, 3, 7, 0, 8, 12):
            assert values(workers(m)[0]) == values(drawn(m)[0])
    finally:
        workers.close()
    assert not [each for each in multiprocessing.active_children() if "DataLoader" in each.name]


def test_a_failure_says_where_it_came_from():
    _, workers = feeds(task_of(DatasetSource(Broken(), loading=Loading(1))))
    try:
        with pytest.raises(TaskError, match=r"test_workers\.py:\d+: fetching samples .*7\.png"):
            for m in range(3):
                workers(m)
    finally:
        workers.close()


def test_signals_are_for_the_process_that_trains():
    seen = []

    def begin(number):
        seen.append(number)

    from lrtool.tasks.loading.worker import Begin

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    try:
        Begin(begin)(3)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN and seen == [3]
        signal.raise_signal(signal.SIGTERM)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
