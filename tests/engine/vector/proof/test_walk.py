"""The walk through what a model and its code hold: whatever may be state is read, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lrtool.engine.vector.proof.fingerprint import Fingerprint, Running, StatePlace
from lrtool.engine.vector.proof.walk import fingerprint

SCALE = 1.0


class Model(nn.Module):
    shared: list[int] = []  # noqa: RUF012 - state of the class is what is looked at

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.count, self.seen = nn.Linear(2, 2), 0, {"a": [1, 2]}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * SCALE


def read(model: nn.Module) -> Fingerprint:
    return fingerprint(model, [(StatePlace("the model's attribute", ""), model)])


def change(model: Model) -> dict[str, Callable[[], object]]:
    return {
        "`count`": lambda: setattr(model, "count", 1),
        "`seen['a'][1]`": lambda: model.seen["a"].__setitem__(1, 5),
        "`layer.extra`": lambda: setattr(model.layer, "extra", "x"),
        "`Model.shared": lambda: Model.shared.append(1),
        "the global `SCALE": lambda: globals().__setitem__("SCALE", 2.0),
        "`layer.weight": lambda: setattr(model.layer, "weight", nn.Parameter(torch.ones(3, 2))),
    }


@pytest.mark.parametrize("place", change(Model()))
def test_a_change_is_found_where_it_is(place: str) -> None:
    model = Model()
    before = read(model)
    try:
        change(model)[place]()
        assert place in str(before.changed(read(model)))
    finally:
        Model.shared.clear()
        globals()["SCALE"] = 1.0


def test_the_models_own_tensors_are_read_by_form_only() -> None:
    model = Model()
    before = read(model)
    with torch.no_grad():
        model.layer.weight.add_(1)
    assert before.changed(read(model)) is None
    # Another model of the class remembers the same.
    assert before.changed(read(Model())) is None


def test_other_tensors_are_read_by_content() -> None:
    model = Model()
    model.mean = torch.zeros(2)
    before = read(model)
    model.mean += 1
    assert "`mean`" in str(before.changed(read(model)))


def test_circles_end_and_what_fails_when_read_is_a_value() -> None:
    class Failing:
        __slots__ = ("value",)

        def __getattribute__(self, name: str) -> Any:
            if name == "value":
                raise RuntimeError(name)
            return super().__getattribute__(name)

    model = Model()
    model.itself, model.failing = [model], Failing()  # type: ignore[assignment]
    assert read(model).changed(read(model)) is None


def test_state_that_no_way_is_known_to_read_is_named() -> None:
    model = Model()
    model.lines = (line for line in "ab")  # type: ignore[assignment]
    model.opaque = iter(memoryview(b"a"))  # type: ignore[assignment]
    assert {place.path for place in read(model).unread} == {"opaque"}


def test_of_a_file_s_globals_only_what_code_names_is_read() -> None:
    """Else a notebook's data, and what a test runner's import hook counts, would be the model's."""
    source = "COUNT = {'n': 0}\nOTHER = [0]\ndef f():\n    globals()['COUNT']['n'] += 1\n"
    held: dict[str, Any] = {"__name__": "notebook", "__loader__": [0]}
    exec(compile(source, "/home/user/notebook.py", "exec"), held)
    running = Running(held["f"].__code__, held)

    def found() -> Fingerprint:
        return fingerprint(nn.Linear(1, 1), [(StatePlace("the code", "f"), running)])

    before = found()
    held["OTHER"].append(1)
    held["__loader__"].append(1)
    assert before.changed(found()) is None
    held["f"]()
    assert "COUNT" in str(before.changed(found()))
