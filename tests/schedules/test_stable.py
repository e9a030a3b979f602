"""Where a curve leaves its highest value: a run keeps that checkpoint, to branch off."""

import pytest

from lrtool.schedules import KINDS
from lrtool.schedules.nested import AnySchedule  # noqa: F401 - nested kinds are known by it


@pytest.mark.parametrize(
    ("spec", "steps", "stable"),
    [
        ({"kind": "wsd", "decay": 20}, 100, 81),
        ({"kind": "wsd", "decay": 20, "warmup": 30}, 100, 81),
        ({"kind": "wsd", "decay": "95%"}, 100, None),
        ({"kind": "constant"}, 100, None),
        ({"kind": "cosine", "warmup": 10}, 100, None),
        ({"kind": "linear"}, 100, None),
        ({"kind": "step", "every": 30}, 100, 30),
        ({"kind": "wsd", "decay": 1}, 2, None),
    ],
)
def test_the_end_of_the_constant_phase(spec, steps, stable):
    assert KINDS.kinds[spec["kind"]].model_validate(spec).bind(lr=0.3, steps=steps).stable == stable
