"""What a stack would train otherwise than the loop is refused by name, or trained as the loop trains it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lrtool.engine import rng
from lrtool.engine.compiling import missing_compiler
from lrtool.engine.probing import probe
from lrtool.engine.stacking import math_attention
from tests.engine import impure_models as models
from tests.engine.impure_models import RECIPE, REFUSED, TRAINED, Net, difference, task_of

DROPOUTS = [0.0, 0.2]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _attention() -> Iterator[None]:
    with math_attention(), rng.preserved(torch.device("cpu")):
        yield


@pytest.mark.parametrize("p", DROPOUTS)
@pytest.mark.parametrize("model", REFUSED, ids=lambda model: model.__name__)
def test_state_and_draws_outside_torch_are_refused_by_name(model: type[Net], p: float) -> None:
    reason = probe(task_of(model, p), RECIPE)
    assert reason is not None
    assert re.search(REFUSED[model][1], reason), reason


@pytest.mark.parametrize("p", DROPOUTS)
@pytest.mark.parametrize("model", TRAINED, ids=lambda model: model.__name__)
def test_well_behaved_models_stack_and_equal_the_loop(model: type[Net], p: float) -> None:
    task = task_of(model, p)
    assert probe(task, RECIPE) is None
    assert difference(task, 40, compiled=False) < 1e-3


@pytest.mark.parametrize("model", [models.ReassignedMean, models.BatchNorm], ids=lambda model: model.__name__)
def test_compiled_too(model: type[Net]) -> None:
    lacking = missing_compiler(torch.device("cpu"))
    if lacking is not None:
        pytest.skip(lacking)
    assert difference(task_of(model, 0.2), 40, compiled=True) < 1e-3


def test_a_loss_and_a_metric_that_remember_are_refused() -> None:
    reason = probe(models.with_loss(models.LossCounter()), RECIPE)
    assert re.search(r"impure_models\.py:\d+: the loss's attribute `calls` changes", str(reason)), reason
    reason = probe(models.with_metric(models.MetricMemory()), RECIPE)
    assert re.search(r"the metric own's attribute `best\[0\]` changes in validation", str(reason)), reason
