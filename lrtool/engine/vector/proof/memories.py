"""Whether passes through a model leave anything behind besides its parameters and buffers, and what."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch
from torch import nn

from lrtool.engine.private import global_hooks
from lrtool.engine.vector.proof.fingerprint import Fingerprint, StatePlace
from lrtool.engine.vector.proof.usercode import where
from lrtool.engine.vector.proof.walk import fingerprint
from lrtool.engine.vector.proof.watching import Calls
from lrtool.tasks.base import Task

#: Environment variables that torch sets itself, when its compiler is first loaded.
_TORCHS = ("TORCHINDUCTOR_", "TRITON_")


class Memories:
    """The state that a model, its loss and its metrics keep; `calls`: what was seen to run in passes through it.

    Each method gives what stands in the way, in words, or None.
    """

    def __init__(self, task: Task, model: nn.Module, calls: Calls | None = None) -> None:
        self._task, self._model = task, model
        self.calls = calls or Calls()
        self.keep()

    def keep(self) -> None:
        """What is remembered now is what is to stay."""
        self._known = self._read()
        self.keep_draws()

    def keep_draws(self) -> None:
        """Whoever has drawn until now may have."""
        self._states = _random_states()

    def changed(self, when: str) -> str | None:
        """What is not as it was kept."""
        now = self._read()
        place = self._known.changed(now)
        if place is not None:
            return self._words(place, now, f"changes {when}")
        return self.drawn(when)

    def counted(self, when: str) -> str | None:
        """A plain value of the model, loss or metrics that is not as it was kept; what was None may be filled.

        What is made when it is first wanted, and kept, was None or missing before.
        """
        now = self._read()
        for place, old in self._known.values.items():
            plain = isinstance(old, tuple) and isinstance(old[0], type) and old[0] is not type(None)
            if plain and place.holder.endswith("'s attribute") and now.values.get(place, old) != old:
                return self._words(place, now, f"changes {when}")
        return None

    def drawn(self, when: str) -> str | None:
        """The random state that was drawn from."""
        for name, old, new in zip(
            ("Python's `random`", "NumPy's `random`"), self._states, _random_states(), strict=True
        ):
            if old != new:
                line = self.calls.drawing if name.startswith("Python") else None
                line = line or where("random", self.calls.ran) or where("np", self.calls.ran)
                return f"{line + ': ' if line else ''}the model draws from {name} {when}"
        return None

    def outside(self, when: str) -> str | None:
        """A call that is no function of the model's state."""
        found = next(iter(self.calls.outside.items()), None)
        return None if found is None else f"{found[1]}: the model {found[0]} {when}"

    def _read(self) -> Fingerprint:
        return fingerprint(self._model, self._roots())

    def differing(self, other: Memories) -> str | None:
        """What another model of the task remembers that this one does not."""
        mine, its = self._known, other._known
        unread = next(iter(mine.unread.items()), None)
        if unread is not None:
            return f"{unread[0]} is a {unread[1]}, whose state cannot be read"
        place = mine.changed(its)
        if place is None:
            return None
        return self._words(place, mine, "is another in a model of another seed, and neither a parameter nor a buffer")

    def _roots(self) -> list[tuple[StatePlace, Any]]:
        task = self._task
        roots: list[tuple[StatePlace, Any]] = [
            (StatePlace("the model's attribute", ""), self._model),
            (StatePlace("the loss's attribute", ""), task.loss),
        ]
        roots += [(StatePlace(f"the metric {name}'s attribute", ""), m.per_sample) for name, m in task.metrics.items()]
        roots += [(StatePlace("the code", code.co_qualname), running) for code, running in self.calls.ran.items()]
        roots += [(StatePlace("torch's setting", name), value) for name, value in _settings().items()]
        variables = [
            (StatePlace("the environment variable", name), value)
            for name, value in os.environ.items()
            if not name.startswith(_TORCHS)
        ]
        return [*roots, *variables]

    def _words(self, place: StatePlace, found: Fingerprint, says: str) -> str:
        steps = [step for step in place.path.replace("[", ".[").split(".") if step]
        names = [step for step in steps if not step.startswith("[")]
        # The same name may stand in code that has nothing to do with it, so what ran comes first.
        places = (where(name, codes) for codes in (self.calls.ran, found.codes) for name in reversed(names))
        line = next((at for at in places if at is not None), None)
        return f"{line + ': ' if line else ''}{place} {says}"


def _random_states() -> tuple[Any, Any]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - the global state is what is looked at
    assert isinstance(numpy_state, dict)
    inner = numpy_state["state"]
    return random.getstate(), (inner["key"].tobytes(), inner["pos"], numpy_state["has_gauss"], numpy_state["gauss"])


def _settings() -> dict[str, Any]:
    return {
        "default_dtype": torch.get_default_dtype(),
        "grad_enabled": torch.is_grad_enabled(),
        "num_threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        **global_hooks(),
    }
