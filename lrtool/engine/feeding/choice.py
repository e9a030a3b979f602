"""Which feed a trial has."""

from __future__ import annotations

import multiprocessing

import torch

from lrtool.engine.feeding.base import Feed
from lrtool.engine.feeding.drawn import DrawnFeed, Part
from lrtool.engine.feeding.loader import LoaderFeed
from lrtool.engine.feeding.workers import WorkersFeed
from lrtool.errors import UsageError
from lrtool.tasks.base import Task
from lrtool.tasks.loading.stateful import LoaderSource
from lrtool.tasks.sources import DatasetSource


def feed(task: Task, seed: int, device: torch.device, part: Part, alone: bool) -> Feed:
    """The feed of a trial. `part`: this process's samples of a batch; `alone`: it has no others.

    Raises UsageError where a loader with an order of its own is to be shared by several processes.
    """
    if isinstance(task.train, LoaderSource):
        if not alone:
            raise UsageError(
                "several processes cannot share a loader that keeps its own order",
                where="data",
                remedy="return the data set, or a plain DataLoader, from your data target",
            )
        return LoaderFeed(task.train, seed)
    drawn = DrawnFeed(task, seed, device, part)
    source = task.train
    # A process that is itself one of several workers may have none of its own.
    if isinstance(source, DatasetSource) and source.loading.workers and not multiprocessing.current_process().daemon:
        return WorkersFeed(drawn, source)
    return drawn
