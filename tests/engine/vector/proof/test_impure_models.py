# ruff: noqa: NPY002 - numpy's global state is what is tested here
"""What a stack would train otherwise than the loop is refused by name, or trained as the loop trains it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lrtool.engine import rng
from lrtool.engine.device import math_attention
from lrtool.engine.vector.compiling import Compiled, Graph, missing_compiler
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.obstacles import NotStackableError
from lrtool.engine.vector.proof.stackable import why_not_stackable
from lrtool.engine.vector.skeleton import skeleton_of
from lrtool.status import Status
from lrtool.tasks.base import seeded_model
from tests.engine.contract import Recording, trial
from tests.engine.vector.proof import impure_models as models
from tests.engine.vector.proof.impure_models import RECIPE, REFUSED, TRAINED, Net, difference, task_of

# Without dropout they are told by the same proofs.
DROPOUTS = [pytest.param(0.0, marks=pytest.mark.deep), 0.2]


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
    reason = why_not_stackable(task_of(model, p), RECIPE)
    assert reason is not None
    assert re.search(REFUSED[model][1], reason), reason


@pytest.mark.parametrize("p", DROPOUTS)
@pytest.mark.parametrize("model", TRAINED, ids=lambda model: model.__name__)
def test_well_behaved_models_stack_and_equal_the_loop(model: type[Net], p: float) -> None:
    task = task_of(model, p)
    assert why_not_stackable(task, RECIPE) is None
    assert difference(task, 40, compiled=False) < 1e-3


@pytest.mark.parametrize("model", [models.ReassignedMean, models.BatchNorm], ids=lambda model: model.__name__)
def test_compiled_too(model: type[Net]) -> None:
    lacking = missing_compiler(torch.device("cpu"))
    if lacking is not None:
        pytest.skip(lacking)
    # Without dropout, whose compiling takes minutes; compiled dropout is tested by the engines' contract.
    assert difference(task_of(model, 0.0), 40, compiled=True) < 1e-3


def test_a_loss_and_a_metric_that_remember_are_refused() -> None:
    reason = why_not_stackable(models.with_loss(models.LossCounter()), RECIPE)
    assert re.search(r"impure_models\.py:\d+: the loss's attribute `calls` changes", str(reason)), reason
    reason = why_not_stackable(models.with_metric(models.MetricMemory()), RECIPE)
    assert re.search(r"the metric own's attribute `best\[0\]` changes in the first passes", str(reason)), reason


@pytest.mark.parametrize("model", [models.Counter, models.PythonRandom, models.NumpyRandom, models.ClosureCounter])
def test_what_was_not_asked_before_is_seen_while_it_trains(model: type[Net]) -> None:
    watched, trials = Recording(), [trial(seed, 30, 0.1) for seed in range(2)]
    with pytest.raises(NotStackableError, match=r"(changes|draws from .*) while it trains; use the loop engine"):
        VectorEngine(compile=False).run(task_of(model, 0.0), trials, RECIPE, watched)
    assert not watched.losses
    assert {trace.status for trace in watched.traces.values()} == {Status.FAILED}


def test_a_compiled_update_that_does_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(graph: Graph) -> Compiled:
        def function(given: list[Tensor]) -> tuple[Tensor, ...]:
            losses, norms = graph.module(*given)
            # A slow drift: 1% of what the update did.
            given[0].mul_(1 + 1e-4)
            return losses, norms

        return Compiled(function, graph.size, 0.0)

    said: list[str] = []
    monkeypatch.setattr("lrtool.engine.vector.plan.compiled", faulty)
    engine = VectorEngine(slots=2, compile=True, workers=1, planned=lambda plan: said.append(plan.reason))
    engine.run(task_of(Net, 0.0), [trial(seed, 5, 0.1) for seed in range(2)], RECIPE)
    assert said == ["not compiled: the compiled update changes first.weight otherwise"]


def test_models_and_their_stack_leave_a_lazily_made_constant_alone() -> None:
    skeleton = skeleton_of(task_of(models.LazyMask, 0.0), torch.device("cpu"))
    assert skeleton.mask is not None


def test_the_same_weights_whatever_was_drawn_before() -> None:
    task = task_of(models.NumpyWeights, 0.0)
    first = seeded_model(task, 3)
    random.random()
    np.random.rand()
    before = random.getstate(), np.random.get_state()[1].copy()
    again, other = seeded_model(task, 3), seeded_model(task, 4)
    assert torch.equal(first.scale, again.scale) and not torch.equal(first.scale, other.scale)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
