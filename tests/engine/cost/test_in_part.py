"""How long large validation data take is seen by a part of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from lrtool.engine.cost.in_part import validated_in_part
from lrtool.engine.loop.speeds import loop_speed
from lrtool.engine.vector.plan import StackPlanner
from lrtool.engine.vector.speeds import stack_speed
from lrtool.tasks.base import Task
from lrtool.tasks.metrics.base import Metric
from lrtool.tasks.sources import DatasetSource, TensorSource
from tests.engine.contract import small_task, trial
from tests.engine.vector.test_speeds import RECIPE

SAMPLES = 100_000


class Counted:
    """A metric that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, output: Any, target: Any) -> Any:
        self.calls += 1
        return output.argmax(-1) == target


def much_to_validate(metric: Counted) -> Task:
    task = small_task()
    assert isinstance(task.val, TensorSource)
    index = torch.arange(SAMPLES) % len(task.val)
    held_out = TensorSource((task.val.inputs[0][index],), task.val.target[index])
    return replace(task, val=held_out, metrics={"counted": Metric("counted", metric)})


@pytest.mark.parametrize("by_sample", [False, True])
def test_a_part_has_the_first_samples_and_says_how_many_times_more_there_are(by_sample: bool) -> None:
    task = much_to_validate(Counted())
    assert isinstance(task.val, TensorSource)
    if by_sample:
        task = replace(task, val=DatasetSource(list(zip(task.val.inputs[0], task.val.target, strict=True))))
    part, times = validated_in_part(task)
    assert part.val is not None and task.val is not None
    assert part.val_samples * times == pytest.approx(SAMPLES) and part.val_samples < 0.1 * SAMPLES
    some = torch.tensor([3, part.val_samples - 1])
    assert torch.equal(part.val.take(some).target, task.val.take(some).target)
    assert len(part.val.to(torch.device("cpu"))) == part.val_samples


def test_little_is_taken_whole() -> None:
    task, without = small_task(), small_task(val=False)
    assert validated_in_part(task) == (task, 1.0) and validated_in_part(without) == (without, 1.0)


def test_neither_engine_validates_all_of_it_to_see_how_long_that_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    # What validations do to the updates between them is timed where they take next to nothing: not here.
    monkeypatch.setattr("lrtool.engine.loop.speeds._BETWEEN", 1e9)
    seen = Counted()
    task = much_to_validate(seen)
    batches = SAMPLES // task.val_batch_size
    loop = loop_speed(task, trial(0, 20, 0.1), RECIPE)
    planner = StackPlanner(task, [trial(0, 20, 0.1)], RECIPE)
    stack = stack_speed(task, RECIPE, planner.costs.update, 8, float("inf"))
    assert 0 < seen.calls < batches
    assert loop.validation > batches * 1e-6 and all(each > batches * 1e-6 for each in stack.validations.values())
