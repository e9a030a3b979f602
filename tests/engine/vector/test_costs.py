"""What stacks cost: sizes that fit, seconds that are expected, and what of it is remembered."""

from __future__ import annotations

import pytest
import torch

from lrtool.engine.cost.amount import Amount
from lrtool.engine.vector.costs import LoopPace, StackCosts, stack_budget
from lrtool.engine.vector.speeds import StackSpeed
from lrtool.tasks.base import seeded_model
from tests.engine.contract import small_task
from tests.engine.vector.test_speeds import RECIPE

pytestmark = pytest.mark.usefixtures("own_cache")


def costs(slots: int | None = None, workers: int | None = 1, loop: LoopPace | None = None) -> StackCosts:
    task = small_task()
    return StackCosts(task, RECIPE, seeded_model(task, 0), slots, workers, loop or LoopPace())


def test_a_compiled_stack_fits_is_a_power_of_two_and_gives_every_worker_something() -> None:
    assert costs().compiled_size(10_000) == 256
    assert costs().compiled_size(10) == 10
    assert costs(workers=4).compiled_size(10) == 3
    assert costs(slots=7).compiled_size(10_000) == 7 and costs(slots=7).compiled_size(3) == 3


def test_large_models_get_small_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = costs()
    monkeypatch.setattr("lrtool.engine.vector.costs.stack_budget", lambda _: 3 * found.work.held)
    assert found.largest == 3 and found.compiled_size(1000) == 2
    monkeypatch.setattr("lrtool.engine.vector.costs.stack_budget", lambda _: 1)
    assert found.largest == 1
    assert stack_budget(torch.device("cuda")) > stack_budget(torch.device("cpu"))


def test_what_compiling_gains_is_learned_once_a_compile_is_known() -> None:
    found = costs()
    assert not found.lacks_gain, "nothing of this task was compiled"
    usual = found.gain()
    assert usual.low < usual.likely < usual.high
    found.learn(0.2)
    assert not found.lacks_gain and costs().gain().likely == pytest.approx(0.2)
    found.learn(1000.0)
    assert costs().gain().likely <= 5.0


def test_compiled_seconds_grow_with_rounds_updates_and_validations() -> None:
    found, speed = costs(), StackSpeed({2: 0.2, 512: 51.2}, {2: 1.0, 512: 256.0}, 0.01, 1)
    one = found.compiled_seconds(speed, Amount(256, 100, 0), 0.5)
    # 256 models, each 0.1 s plain and half of that compiled, for 100 updates; and 256 times 0.01 s to begin.
    assert one == pytest.approx(256 * 0.05 * 100 + 2.56)
    assert found.compiled_seconds(speed, Amount(512, 100, 0), 0.5) == pytest.approx(2 * one)
    assert found.compiled_seconds(speed, Amount(256, 100, 2), 0.5) == pytest.approx(one + 2 * 128.0)


def test_operators_are_guessed_until_they_are_counted() -> None:
    found = costs()
    assert found.known_operators() == 8 * found.work.operators + 10 * 4


def test_a_plain_stack_must_beat_several_processes_and_a_compiled_one_only_where_there_is_much_to_train(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[float]()

    def timed(*given: object) -> StackSpeed:
        asked.append(given[4])  # type: ignore[arg-type]
        return StackSpeed({1: 1.0}, {}, 0.0, 1)

    monkeypatch.setattr("lrtool.engine.vector.costs.stack_speed", timed)
    monkeypatch.setattr(StackCosts, "known_speed", lambda _: None)
    found = costs(loop=LoopPace(alone=0.01, together=0.005))
    found.learn(0.4)
    found.speed(Amount(10, 10, 0))
    found.speed(Amount(10, 1e6, 0))
    assert asked == pytest.approx([0.005, 0.01 / 0.4])
