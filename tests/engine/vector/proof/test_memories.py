"""Whether passes through a model leave anything behind; the impure models' tests go through many kinds."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lrtool.engine.vector.proof.memories import Memories
from lrtool.tasks.base import seeded_model
from tests.engine.contract import CLASSES, FEATURES, small_task


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.count, self.cache = nn.Linear(FEATURES, CLASSES), 0, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def memories(model: nn.Module | None = None, **of_task: Any) -> tuple[Memories, nn.Module]:
    model = model or Remembering()
    return Memories(replace(small_task(), **of_task), model), model


def test_nothing_changes_where_nothing_happens() -> None:
    kept, model = memories()
    model(torch.ones(1, FEATURES)).sum().backward()
    assert kept.changed("in a pass") is None and kept.counted("in a pass") is None


def test_a_counter_is_named_with_what_it_does() -> None:
    kept, model = memories()
    model.count += 1
    assert str(kept.changed("in a pass")).endswith("the model's attribute `count` changes in a pass")
    assert "count" in str(kept.counted("in a pass"))
    kept.keep()
    assert kept.changed("in a pass") is None


def test_what_is_made_when_first_wanted_is_no_counter() -> None:
    kept, model = memories()
    model.cache = 7
    assert kept.counted("in a pass") is None and "cache" in str(kept.changed("in a pass"))


def test_draws_of_python_and_numpy_are_named() -> None:
    kept, _ = memories()
    state, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.random()
        assert "Python's `random`" in str(kept.drawn("in a pass"))
        kept.keep_draws()
        np.random.rand()  # noqa: NPY002
        assert "NumPy's `random`" in str(kept.changed("in a pass"))
    finally:
        random.setstate(state)
        np.random.set_state(numpys)  # noqa: NPY002


def test_the_environment_and_torchs_settings_count(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, _ = memories()
    monkeypatch.setitem(os.environ, "LRTOOL_TESTS_OWN", "1")
    assert "LRTOOL_TESTS_OWN" in str(kept.changed("in a pass"))
    monkeypatch.delitem(os.environ, "LRTOOL_TESTS_OWN")
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert "torch's setting" in str(kept.changed("in a pass"))
    finally:
        handle.remove()


def test_models_of_other_seeds_must_agree() -> None:
    class Seeded(Remembering):
        def __init__(self) -> None:
            super().__init__()
            self.shift = float(torch.rand(()))

    task = replace(small_task(), new_model=Seeded)
    one, other = (Memories(task, seeded_model(task, seed)) for seed in (0, 1))
    assert "`shift` is another in a model of another seed" in str(one.differing(other))
    assert one.differing(Memories(task, seeded_model(task, 0))) is None
