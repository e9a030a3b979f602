"""Reduce on plateau, update for update as torch does it."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from conftest import examples
from lrtool.schedules.plateau import Plateau, PlateauState

FIELDS = st.fixed_dictionaries(
    {
        "factor": st.sampled_from([0.1, 0.5, 0.9]),
        "patience": st.integers(0, 4),
        "cooldown": st.integers(0, 4),
        "threshold": st.sampled_from([0.0, 1e-4, 0.1]),
        "threshold_mode": st.sampled_from(["rel", "abs"]),
        "mode": st.sampled_from(["min", "max"]),
        "min_lr": st.sampled_from([0.0, 0.01, 0.05]),
    }
)
VALUES = st.lists(st.floats(-2, 2) | st.just(math.nan), max_size=40)


@settings(max_examples=examples(1000), derandomize=True, deadline=None, database=None)
@given(FIELDS, VALUES)
def test_equals_torch(fields, values):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **fields)
    ours = PlateauState(Plateau(**fields), peak=0.1)
    for value in values:
        theirs.step(value)
        assert 0.1 * ours.update(value) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


@settings(max_examples=examples(200), derandomize=True, deadline=None, database=None)
@given(FIELDS, VALUES, st.integers(0, 40))
def test_resumes_from_its_state(fields, values, at):
    whole, first, second = (PlateauState(Plateau(**fields), peak=0.1) for _ in range(3))
    expected = [whole.update(value) for value in values]
    for value in values[:at]:
        first.update(value)
    second.restore(json.loads(json.dumps(first.state())))
    assert [second.update(value) for value in values[at:]] == expected[at:]


def test_a_relative_floor():
    state = PlateauState(Plateau(factor=0.1, patience=0, min_lr="20%"), peak=0.1)
    assert [state.update(1.0) for _ in range(3)] == [1.0, 0.2, 0.2]


@pytest.mark.parametrize("factor", [0, 1, 2, -1])
def test_a_factor_reduces(factor):
    with pytest.raises(ValidationError, match=r"factor\n.*above 0 and below 1.*try 0\.1"):
        Plateau(factor=factor)


def test_it_follows_a_metric_in_its_own_direction():
    directions = {"val_accuracy": True, "val_mae": False}
    for metric, mode in (("val_accuracy", "max"), ("val_mae", "min"), ("val_loss", "min"), ("train_loss", "min")):
        assert Plateau(metric=metric).following(directions).mode == mode
    assert Plateau(metric="val_accuracy", mode="min").following(directions).mode == "min"
    rising = PlateauState(Plateau(metric="val_accuracy", patience=0).following(directions), peak=0.1)
    assert [rising.update(value) for value in (0.1, 0.5, 0.9)] == [1.0, 1.0, 1.0]
    assert rising.update(0.4) == pytest.approx(0.1)
