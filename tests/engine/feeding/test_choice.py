import pytest
import torch

from lrtool.engine.feeding.choice import feed
from lrtool.engine.feeding.drawn import DrawnFeed
from lrtool.engine.feeding.loader import LoaderFeed
from lrtool.engine.feeding.workers import WorkersFeed
from lrtool.errors import UsageError
from lrtool.tasks.loading.stateful import LoaderSource
from lrtool.tasks.sources import Loading
from tests.engine.feeding.parts import Own, drawn_task, task_of, whole

CPU = torch.device("cpu")


def test_each_kind_of_source_has_its_feed():
    loader = task_of(LoaderSource.of(Own(), 12, "target"))
    assert type(feed(drawn_task(), 0, CPU, whole, True)) is DrawnFeed
    assert type(feed(drawn_task(loading=Loading(2)), 0, CPU, whole, True)) is WorkersFeed
    assert type(feed(loader, 0, CPU, whole, True)) is LoaderFeed
    with pytest.raises(UsageError, match="several processes cannot share a loader"):
        feed(loader, 0, CPU, whole, False)
