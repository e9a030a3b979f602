"""What holds for every kind with any valid fields."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

sys.path.insert(0, str(Path(__file__).parent))
from strategies import KINDS_DRAWN, schedules

from conftest import examples
from lrtool.schedules import KINDS

ANY = TypeAdapter(KINDS.annotation())
settings.register_profile(
    "schedules",
    max_examples=examples(1000),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # the first counterexample is small enough, since runs are short
)
MANY = settings(settings.get_profile("schedules"))
PEAKS = st.floats(1e-6, 1e3)


def test_every_kind_is_drawn():
    # A table needs a file; it has tests of its own.
    assert KINDS.kinds.keys() - {"table"} == KINDS_DRAWN


def bound(drawn, lr=1.0):
    config, steps, _ = drawn
    return ANY.validate_python(config).bind(lr, steps)


@MANY
@given(schedules(), PEAKS)
def test_finite_and_between_zero_and_the_peak(drawn, lr):
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        values = bound(drawn, lr)(np.arange(drawn[1] + 3))
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (values <= lr).all()


@MANY
@given(schedules())
def test_array_equals_one_by_one(drawn):
    curve = bound(drawn)
    steps = np.arange(drawn[1] + 2)
    together = curve(steps)
    assert together.tolist() == [curve(int(t)) for t in steps]
    # Random access: any order, any part, any shape.
    assert curve(steps[::-1]).tolist() == together[::-1].tolist()
    assert curve(steps[None, :, None]).shape == (1, len(steps), 1)


@MANY
@given(schedules(), st.integers(0, 40))
def test_resume_at_any_step(drawn, at):
    config, steps, _ = drawn
    whole = bound(drawn)(np.arange(steps + 5))
    resumed = ANY.validate_python(json.loads(json.dumps(config))).bind(1.0, steps)
    assert resumed(np.arange(at, steps + 5)).tolist() == whole[at:].tolist()


@MANY
@given(schedules())
def test_constant_after_the_end(drawn):
    curve, steps = bound(drawn), drawn[1]
    assert (curve(np.arange(steps, 3 * steps + 2)) == curve(steps)).all()
    assert curve(10**12) == curve(steps)


@MANY
@given(schedules())
def test_exact_at_the_corners(drawn):
    """First update, end of warm-up, last update and end are what the formula alone gives there."""
    config, steps, warmup = drawn
    curve = bound(drawn)
    schedule = ANY.validate_python({**config, "warmup": 0})
    if warmup == 0:
        resolved = schedule._bound(1.0, steps, None)
        for t in (0, steps - 1, steps):
            assert curve(t) == resolved.factor(np.array([float(t)]), steps)[0]
        return
    resolved = ANY.validate_python(config)._bound(1.0, steps, None)
    assert curve(warmup - 1) == resolved.warmup_target(steps - warmup)
    assert curve(steps) == resolved.factor(np.array([float(steps - warmup)]), steps - warmup)[0]
    if warmup > 1:
        start = float(config["warmup_start"][:-1]) / 100
        low, high = sorted((start, curve(warmup - 1)))
        assert low * (1 - 1e-12) <= curve(0) <= high * (1 + 1e-12)


@MANY
@given(schedules(), PEAKS, st.integers(-10, 10))
def test_scaling_the_peak_scales_the_curve(drawn, lr, power):
    steps = np.arange(drawn[1] + 1)
    np.testing.assert_array_equal(bound(drawn, lr * 2.0**power)(steps), bound(drawn, lr)(steps) * 2.0**power)
    np.testing.assert_allclose(bound(drawn, lr)(steps), lr * bound(drawn)(steps), rtol=1e-15)


@MANY
@given(schedules(), PEAKS)
def test_json_round_trip(drawn, lr):
    schedule = ANY.validate_python(drawn[0])
    again = ANY.validate_json(schedule.model_dump_json())
    assert again == schedule
    steps = np.arange(drawn[1] + 1)
    assert again.bind(lr, drawn[1])(steps).tolist() == schedule.bind(lr, drawn[1])(steps).tolist()


@MANY
@given(schedules({"one_cycle", "cyclical", "scaled", "clipped", "repeated", "sequence"}))
def test_momentum_stays_below_one(drawn):
    config, steps, _ = drawn
    curve = ANY.validate_python(config).bind_momentum(1.0, steps)
    if curve is not None:
        values = curve(np.arange(steps + 3))
        assert ((values >= 0.5 - 1e-12) & (values <= 0.99)).all()
        assert values.tolist() == [curve(t) for t in range(steps + 3)]


@MANY
@given(st.lists(schedules(), min_size=3, max_size=3))
def test_nesting_is_associative(drawn):
    a, b, c = ({**config, "duration": steps} for config, steps, _ in drawn)
    total = sum(steps for _, steps, _ in drawn)
    steps = np.arange(total + 2)
    flat, right, left = (
        ANY.validate_python(tree).bind(0.1, total)(steps) for tree in ([a, b, c], [a, [b, c]], [[a, b], c])
    )
    assert flat.tolist() == right.tolist() == left.tolist()
    sized = {"kind": "sequence", "segments": [b, c], "duration": total - drawn[0][1]}
    assert ANY.validate_python([a, sized]).bind(0.1, total)(steps).tolist() == flat.tolist()
    alone = [ANY.validate_python(config).bind(0.1, n).table() for config, n, _ in drawn]
    assert flat[:total].tolist() == np.concatenate(alone).tolist()


@pytest.mark.parametrize("kind", sorted(KINDS.kinds.keys() - {"table"}))
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100])
def test_every_kind_works_by_its_name_alone(kind, steps):
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        values = ANY.validate_python(kind).bind(0.1, steps)(np.arange(steps + 2))
    assert ((values >= 0) & (values <= 0.1)).all()
