"""Whatever a ramp and its probes look like, an LR lies within its own interval, and an answer or a reason is given."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lrtool.analysis.range_test import analyse
from lrtool.analysis.search.short_runs import Probes, centre, completed, inferred_limit, with_probes


def within(estimate):
    return estimate is None or 0 <= estimate.low <= estimate.value <= estimate.high


def some_ramp(draw, seeds):
    """A loss that starts anywhere, falls and explodes at any steps, or not, with any noise; seeds may stop."""
    steps = int(draw.integers(2, 70))
    lr = np.geomspace(10.0 ** draw.uniform(-9, -3), 10.0 ** draw.uniform(-2, 3), steps)
    t = np.arange(steps)
    level = 10.0 ** draw.uniform(-3, 4)
    losses = level * (1 - draw.uniform(0, 1) * (t > draw.integers(steps)) * draw.uniform(0, 1, steps))
    losses = losses + level * draw.choice([0, 0.01, 1]) * draw.normal(size=(seeds, steps))
    losses[:, int(draw.integers(steps + 1)) :] *= draw.choice([1, 10, 1e30])
    for row in losses:
        if draw.random() < 0.3:
            row[int(draw.integers(steps)) :] = draw.choice([np.nan, np.inf])
    return lr, losses


def some_probes(draw, middle):
    lrs, seeds, first = int(draw.integers(3, 12)), int(draw.integers(1, 4)), int(draw.integers(0, 9))
    lr = np.sort(middle * 4.0 ** (np.arange(lrs) - lrs // 2))
    level = draw.choice([1e-6, 1.0, 1e6])
    shape = draw.uniform(-1, 1) * np.arange(lrs) ** 2 + draw.uniform(-3, 3) * np.arange(lrs)
    losses = level * np.exp(np.clip(shape[:, None] + draw.choice([0, 0.01, 1]) * draw.normal(size=(lrs, seeds)), -9, 9))
    losses[draw.random(losses.shape) < draw.choice([0, 0.2, 0.9])] = np.nan
    asked = draw.random(losses.shape) < draw.choice([0.5, 1.1])
    asked[:, 0] = True
    begun = np.full((seeds, 8), np.nan)
    begun[:, :first] = level * draw.uniform(1, 3) * (1 + 0.01 * draw.normal(size=(seeds, first)))
    filled = completed(np.where(asked, losses, np.nan), asked)
    common = None if asked.all() else asked.all(axis=1)
    part = float(2.0 ** -draw.uniform(0, 12))
    return Probes(lr, filled, begun, 0.9 * filled, part, bool(draw.random() < 0.5), common)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_point_lies_within_its_own_interval(seed):
    draw = np.random.default_rng(seed)
    ramp = analyse(*some_ramp(draw, int(draw.integers(1, 4))), resamples=5)
    probes = some_probes(draw, centre(ramp, 0.1, int(draw.choice([3, 7]))))
    for result in (ramp, inferred_limit(ramp, probes)):
        found = with_probes(result, probes).cautioned()
        assert within(found.suggestion) and within(found.stability)
        assert (found.suggestion is None) == (found.reason is not None)
        assert found.suggestion is None or np.isfinite(found.suggestion.value)
