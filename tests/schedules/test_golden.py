"""Tables worked out by hand, one or more for each kind: values of updates 0 … T − 1, at T, and past it."""

import math

import numpy as np
import pytest
from pydantic import TypeAdapter

from lrtool.schedules import KINDS

ANY = TypeAdapter(KINDS.annotation())
H = math.sqrt(0.5)
C = (2 + math.sqrt(2)) / 4  # (1 + cos 45°)/2

# (schedule, updates, values at 0 … T and one step later, of a peak of 1)
TABLES = [
    ("constant", 3, [1, 1, 1, 1, 1]),
    ({"kind": "constant", "level": "25%"}, 2, [0.25, 0.25, 0.25, 0.25]),
    ("linear", 4, [1, 0.75, 0.5, 0.25, 0, 0]),
    ({"kind": "linear", "start": "20%", "final": 1.0}, 4, [0.2, 0.4, 0.6, 0.8, 1, 1]),
    ({"kind": "polynomial", "power": 2, "final": "20%"}, 4, [1, 0.65, 0.4, 0.25, 0.2, 0.2]),
    ({"kind": "step", "every": 2, "gamma": 0.5}, 5, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]),
    ({"kind": "multistep", "milestones": [1, 3], "gamma": 0.1}, 4, [1, 0.1, 0.1, 0.01, 0.01, 0.01]),
    ({"kind": "piecewise", "milestones": [1, 2], "values": [0.5, 1.0, "10%"]}, 3, [0.5, 1, 0.1, 0.1, 0.1]),
    ({"kind": "piecewise", "milestones": [1, 2], "factors": [0.5, 0.5]}, 3, [1, 0.5, 0.25, 0.25, 0.25]),
    ({"kind": "exponential", "gamma": 0.5, "every": 1}, 3, [1, 0.5, 0.25, 0.125, 0.125]),
    ({"kind": "exponential", "gamma": 0.5, "every": 2, "staircase": True}, 4, [1, 1, 0.5, 0.5, 0.25, 0.25]),
    ({"kind": "exponential", "rate": math.log(2), "final": 0.3}, 3, [1, 0.5, 0.3, 0.3, 0.3]),
    ({"kind": "inverse_time", "rate": 1, "every": 1}, 3, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 4]),
    ({"kind": "inverse_time", "rate": 1, "every": 2, "staircase": True}, 4, [1, 1, 1 / 2, 1 / 2, 1 / 3, 1 / 3]),
    ({"kind": "inverse_sqrt", "timescale": 1}, 3, [1, H, math.sqrt(1 / 3), 0.5, 0.5]),
    ({"kind": "inverse_sqrt", "warmup": 2, "shift": 1}, 3, [0.5, 1, math.sqrt(2 / 3), H, H]),
    ({"kind": "power", "exponent": 2, "timescale": 1}, 2, [1, 1 / 4, 1 / 9, 1 / 9]),
    ("cosine", 4, [1, C, 0.5, 1 - C, 0, 0]),
    ({"kind": "cosine", "final": "50%", "exponent": 2}, 2, [1, 0.625, 0.5, 0.5]),
    ({"kind": "cosine", "k": 2}, 2, [1, C, 0, 0]),
    ({"kind": "flat_cosine", "flat": 1}, 3, [1, 1, 0.5, 0, 0]),
    ({"kind": "cosine_restarts", "t_0": 2}, 5, [1, 0.5, 1, 0.5, 1, 0.5, 0.5]),
    ({"kind": "cosine_restarts", "t_0": 2, "peak_decay": 0.5, "final": 0.1}, 4, [1, 0.55, 0.5, 0.3, 0.1, 0.1]),
    ({"kind": "cosine_restarts", "t_0": 2, "cycles": 1}, 4, [1, 0.5, 0, 0, 0, 0]),
    ({"kind": "cosine_restarts", "t_0": 3, "reach_final": True}, 6, [1, 0.5, 0, 1, 0.5, 0, 0, 0]),
    ({"kind": "cyclical", "step_size_up": 2, "base": 0}, 5, [0, 0.5, 1, 0.5, 0, 0.5, 0.5]),
    ({"kind": "cyclical", "step_size_up": 1, "step_size_down": 2, "base": 0}, 4, [0, 1, 0.5, 0, 1, 1]),
    (
        {"kind": "cyclical", "step_size_up": 1, "base": "20%", "mode": "triangular2"},
        5,
        [0.2, 1, 0.2, 0.6, 0.2, 0.4, 0.4],
    ),
    (
        {"kind": "cyclical", "step_size_up": 1, "base": 0, "mode": "exp_range", "gamma": 0.5},
        3,
        [0, 0.5, 0, 0.125, 0.125],
    ),
    ({"kind": "one_cycle", "rise": 2, "start": 0.2, "final": 0}, 4, [0.2, 0.6, 1, 0.5, 0, 0]),
    (
        {"kind": "one_cycle", "rise": 2, "start": 0.2, "final": 0.1, "phases": 3, "shape": "linear"},
        6,
        [0.2, 0.6, 1, 0.6, 0.2, 0.15, 0.1, 0.1],
    ),
    ({"kind": "slanted_triangular", "cut": 1, "ratio": 4}, 4, [0.25, 1, 0.75, 0.5, 0.25, 0.25]),
    ({"kind": "wsd", "decay": 4, "shape": "1-sqrt"}, 5, [1, 1, 0.5, 1 - H, 1 - math.sqrt(3) / 2, 0, 0]),
    ({"kind": "wsd", "decay": 2, "shape": "1-square"}, 3, [1, 1, 0.75, 0, 0]),
    ({"kind": "wsd", "decay": 2, "shape": "cosine"}, 3, [1, 1, 0.5, 0, 0]),
    ({"kind": "wsd", "warmup": 2, "decay": 2, "shape": "linear"}, 5, [0.5, 1, 1, 1, 0.5, 0, 0]),
    ({"kind": "wsd", "decay": 2, "shape": "exponential", "final": "4%"}, 3, [1, 1, 0.2, 0.04, 0.04]),
    ("rex", 2, [1, 2 / 3, 0, 0]),
    (
        {"kind": "tanh", "lower": -1, "upper": 1},
        2,
        [(1 + math.tanh(1)) / 2, 0.5, (1 - math.tanh(1)) / 2, (1 - math.tanh(1)) / 2],
    ),
    ({"kind": "hyperbolic", "final": "20%"}, 2, [1, 0.2 + 0.8 * 0.5, 0.2, 0.2]),
    ([{"kind": "linear", "start": 0, "final": "100%", "duration": 2}, "linear"], 4, [0, 0.5, 1, 0.5, 0, 0]),
    ({"kind": "scaled", "schedule": "linear", "by": 0.5}, 2, [0.5, 0.25, 0, 0]),
    ({"kind": "clipped", "schedule": "linear", "low": "25%", "high": "60%"}, 4, [0.6, 0.6, 0.5, 0.25, 0.25, 0.25]),
    ({"kind": "repeated", "schedule": "linear", "every": 2, "times": 1}, 4, [1, 0.5, 0, 0, 0, 0]),
    # Warm-up: W = T, W = 1, shapes; T = 1; a fraction that rounds to nothing; a duration shorter than the run.
    ({"kind": "cosine", "warmup": 4}, 4, [0.25, 0.5, 0.75, 1, 1, 1]),
    ({"kind": "cosine", "warmup": 1}, 1, [1, 1, 1]),
    ("cosine", 1, [1, 0, 0]),
    ({"kind": "linear", "warmup": "10%"}, 2, [1, 0.5, 0, 0]),
    ({"kind": "linear", "warmup": 2, "warmup_start": "50%"}, 4, [0.75, 1, 1, 0.5, 0, 0]),
    ({"kind": "constant", "warmup": 2, "warmup_shape": "cosine"}, 2, [0.5, 1, 1, 1]),
    ({"kind": "constant", "warmup": 2, "warmup_shape": "exponential", "warmup_start": "4%"}, 2, [0.2, 1, 1, 1]),
    ({"kind": "constant", "warmup": 3, "warmup_shape": "constant", "warmup_start": "4%"}, 3, [0.04, 0.04, 1, 1, 1]),
    ({"kind": "linear", "duration": 2}, 4, [1, 0.5, 0, 0, 0, 0]),
    ({"kind": "linear", "duration": "50%", "warmup": "50%"}, 8, [0.5, 1, 1, 0.5, 0, 0, 0, 0, 0, 0]),
]


@pytest.mark.parametrize(("config", "steps", "values"), TABLES)
def test_table(config, steps, values):
    curve = ANY.validate_python(config).bind(1.0, steps)
    np.testing.assert_allclose(curve(np.arange(len(values))), values, rtol=1e-13, atol=1e-16)
    assert len(values) == steps + 2


def test_every_kind_has_a_table():
    names = {
        config if isinstance(config, str) else config["kind"] for config, *_ in TABLES if not isinstance(config, list)
    }
    assert names | {"sequence", "table"} == set(KINDS.kinds)


@pytest.mark.parametrize("kind", sorted(KINDS.kinds.keys() - {"table"}))
def test_warmup_over_the_whole_run(kind):
    """W = T: the ramp ends at the schedule's start, which is then held."""
    zero = {
        "multistep": {"milestones": []},
        "piecewise": {"milestones": []},
        "flat_cosine": {"flat": 0},
        "one_cycle": {"rise": 0},
        "slanted_triangular": {"cut": 0},
        "wsd": {"decay": 0},
        "sequence": {"segments": ["cosine"]},
    }
    schedule = KINDS[kind](warmup=4, **zero.get(kind, {}))
    values = schedule.bind(1.0, 4)(np.arange(7))
    assert values[3] == values[4] == values[6]
    np.testing.assert_allclose(values[:4], values[3] * np.array([0.25, 0.5, 0.75, 1]), rtol=1e-15)


def test_epochs_and_absolute_levels():
    curve = ANY.validate_python({"kind": "linear", "warmup": "1ep", "final": 0.01}).bind(0.1, 6, steps_per_epoch=2)
    np.testing.assert_allclose(curve(np.arange(7)), [0.05, 0.1, 0.1, 0.0775, 0.055, 0.0325, 0.01])


def test_segments_that_add_up_fill_the_run_however_they_round():
    segments = [{"kind": "constant", "level": f"{10 * i + 10}%", "duration": "25%"} for i in range(4)]
    for steps in (3, 5, 6, 7, 10):
        curve = ANY.validate_python(segments).bind(1.0, steps)
        assert curve(steps) == 0.4
