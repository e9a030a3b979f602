"""Whether passes through a model leave anything behind besides its parameters and buffers, and what."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from lrtool.engine.fingerprint import Fingerprint, Place, fingerprint
from lrtool.engine.usercode import where
from lrtool.engine.watching import Calls
from lrtool.tasks.base import Task


class Memories:
    """What a model, its loss and its metrics remember, read again after every pass.

    What the first pass of each kind sets and no later one changes is no hindrance, as long as all models agree in it.
    `found`: the first thing that stands in the way, in words.
    """

    def __init__(self, task: Task, model: nn.Module, calls: Calls | None = None) -> None:
        self._task, self._model = task, model
        self.calls = calls or Calls()
        self.found: str | None = None
        self._passes: set[str] = set()
        self._known = self.read()

    def read(self) -> Fingerprint:
        """Everything, as it is now."""
        return fingerprint(self._model, self._roots())

    @contextmanager
    def watched(self, when: str) -> Iterator[None]:
        """Inside, passes are made; `when` says which, in words."""
        states = _random_states()
        first = when not in self._passes
        self._passes.add(when)
        ran = len(self.calls.ran)
        with self.calls:
            yield
        self.found = self.found or self._drawn(states, when) or self._outside(when)
        if first or len(self.calls.ran) > ran:
            self._known = self.read()
        else:
            self.found = self.found or self.changed(when)

    def changed(self, when: str) -> str | None:
        """What is not as it was, in words; None if nothing."""
        now = self.read()
        place = self._known.changed(now)
        return None if place is None else self._words(place, now, f"changes {when}")

    def differing(self, other: Memories) -> str | None:
        """What another model of the task remembers that this one does not."""
        mine, its = self.read(), other.read()
        unread = next(iter(mine.unread.items()), None)
        if unread is not None:
            return f"{unread[0]} is a {unread[1]}, whose state cannot be read"
        place = mine.changed(its)
        if place is None:
            return None
        return self._words(place, mine, "is another in a model of another seed, and neither a parameter nor a buffer")

    def _roots(self) -> list[tuple[Place, Any]]:
        task = self._task
        roots: list[tuple[Place, Any]] = [
            (Place("the model's attribute", ""), self._model),
            (Place("the loss's attribute", ""), task.loss),
        ]
        roots += [(Place(f"the metric {name}'s attribute", ""), m.per_sample) for name, m in task.metrics.items()]
        roots += [(Place("the code", code.co_qualname), running) for code, running in self.calls.ran.items()]
        roots += [(Place("torch's setting", name), value) for name, value in _settings().items()]
        return [*roots, (Place("the environment's", "variables"), hash(tuple(os.environ.items())))]

    def _words(self, place: Place, found: Fingerprint, says: str) -> str:
        steps = [step for step in place.path.replace("[", ".[").split(".") if step]
        names = [step for step in steps if not step.startswith("[")]
        line = next((at for name in reversed(names) if (at := where(name, found.codes)) is not None), None)
        return f"{line + ': ' if line else ''}{place} {says}"

    def _drawn(self, before: tuple[Any, Any], when: str) -> str | None:
        for name, old, new in zip(("Python's `random`", "NumPy's `random`"), before, _random_states(), strict=True):
            if old != new:
                line = self.calls.drawing if name.startswith("Python") else None
                line = line or where("random", self.calls.ran) or where("np", self.calls.ran)
                return f"{line + ': ' if line else ''}the model draws from {name} {when}"
        return None

    def _outside(self, when: str) -> str | None:
        found = next(iter(self.calls.outside.items()), None)
        return None if found is None else f"{found[1]}: the model {found[0]} {when}"


def _random_states() -> tuple[Any, Any]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - the global state is what is looked at
    assert isinstance(numpy_state, dict)
    inner = numpy_state["state"]
    return random.getstate(), (inner["key"].tobytes(), inner["pos"], numpy_state["has_gauss"], numpy_state["gauss"])


def _settings() -> dict[str, Any]:
    hooks = torch.nn.modules.module
    settings: dict[str, Any] = {
        "default_dtype": torch.get_default_dtype(),
        "grad_enabled": torch.is_grad_enabled(),
        "num_threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
    for name in ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks"):
        settings[name] = list(getattr(hooks, name, {}).values())
    return settings
