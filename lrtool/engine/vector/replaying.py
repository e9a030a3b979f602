"""An update of a stack on a GPU, recorded once and launched as one from then on: a CUDA graph.

A small model's update is some hundred kernels, each of which takes the GPU less time than Python takes to launch it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lrtool.engine.private import Function

#: (rows, hyperparameters) → (losses, norms).
Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

#: Calls before the recording, in which libraries set themselves up, as they cannot in one.
_WARM_UP = 3


def replays(device: torch.device) -> bool:
    """Whether updates can be recorded there."""
    return device.type == "cuda"


def replayed(function: Function, fixed: Sequence[Tensor], changed: int) -> Step:
    """The same as `function` of (*fixed, rows, hyperparameters), whose kernels are recorded at the first call.

    The first `changed` of `fixed` are changed in place, and where they stand is part of the recording; rows and
    hyperparameters are of the same shapes at every call. Raises what recording raises, the state as it was.
    """
    recorded: list[_Recording] = []

    def step(rows: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        if not recorded:
            recorded.append(_Recording(function, fixed, changed, rows, h))
        return recorded[0](rows, h)

    return step


class _Recording:
    def __init__(self, function: Function, fixed: Sequence[Tensor], changed: int, rows: Tensor, h: Tensor) -> None:
        self._given = rows.clone(), h.clone()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(rows.device), torch.no_grad():
            self._warm_up(function, fixed, changed)
            # Other threads may go on using the GPU meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._found = function([*fixed, *self._given])

    def _warm_up(self, function: Function, fixed: Sequence[Tensor], changed: int) -> None:
        """Call it on a copy of the state, on a stream of its own."""
        aside, here = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
        scratch = [tensor.clone() for tensor in fixed[:changed]]
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                function([*scratch, *fixed[changed:], *self._given])
        here.wait_stream(aside)

    def __call__(self, rows: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        for held, new in zip(self._given, (rows, h), strict=True):
            held.copy_(new)
        self._graph.replay()
        losses, norms = self._found
        # The next call writes to where these stand.
        return losses.clone(), norms.clone()
