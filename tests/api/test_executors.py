"""Where the trials of an API function are trained."""

import pytest
from torch import nn

import lrtool
from lrtool.errors import UsageError


def test_objects_of_this_process_do_not_travel(data):
    with pytest.raises(UsageError, match="cannot be trained in another one; pass a config"):
        lrtool.tune(lambda: nn.Linear(6, 2), data, executor="local", duration=40, progress=False)


def test_options_that_do_not_go_together(data):
    with pytest.raises(UsageError, match="--ray-address: this is for --executor ray"):
        lrtool.tune(lambda: nn.Linear(6, 2), data, ray_address="auto", duration=40, progress=False)
