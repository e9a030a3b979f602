"""The update of a stack as one compiled graph that changes the stack in place."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_unflatten

from lrtool.engine.stacking import Stack, State, Update
from lrtool.tasks.sources import TensorSource

#: Seconds that compiling takes, roughly: to start the compiler, and per operator of the graph.
START, _PER_OPERATOR = 3.0, 0.015
#: The compiler goes by the processor's flags; by itself it would build a program per instruction set to be sure,
#: twice the time of all the rest. Where the flags are wrong, compiling fails, and the plain update goes on.
#: Strides are what they were when it was traced, at every call, so that the compiled code need not check them.
_OPTIONS = {"cpp.vec_isa_ok": True, "size_asserts": False}


#: What this process has compiled, by the graph's key.
_KNOWN: dict[str, Compiled] = {}


@dataclass(frozen=True)
class Graph:
    """A traced update of stacks of one size: flat tensors in, losses and norms out, the state changed in place."""

    module: torch.fx.GraphModule
    example: Sequence[Tensor]
    size: int

    @property
    def operators(self) -> int:
        """How many there are."""
        return sum(node.op == "call_function" for node in self.module.graph.nodes)

    @property
    def key(self) -> str:
        """The same for the same graph on the same shapes."""
        shapes = [(list(t.shape), str(t.dtype), str(t.device)) for t in self.example]
        text = f"{torch.__version__} {torch.get_num_threads()} {shapes} {self.module.code}"
        return "graph " + hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def reusable(self) -> bool:
        """Whether the key says all about it: no tensor is built in, as a loss's class weights may be."""
        return not any(node.op == "get_attr" for node in self.module.graph.nodes)

    @property
    def known(self) -> bool:
        """Whether this process has compiled it before."""
        return self.reusable and self.key in _KNOWN

    @property
    def expected_seconds(self) -> float:
        """How long compiling it may take."""
        return START + _PER_OPERATOR * self.operators


@dataclass(frozen=True)
class Compiled:
    """A compiled update; several threads may call it, each with a stack of its own."""

    function: Callable[..., Any]
    size: int
    seconds: float

    def bind(self, stack: Stack, source: TensorSource) -> Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Tensor]]:
        """(rows, hyperparameters) → (losses, norms), which trains `stack` in place."""
        fixed = _flat(stack.state, source)

        def step(rows: Tensor, h: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
            losses, norms = self.function(*fixed, rows, *h)
            return losses, norms

        return step


def missing_compiler(device: torch.device) -> str | None:
    """Why nothing can be compiled here, before trying; None if nothing is known against it."""
    if device.type != "cpu":
        return None
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except ImportError:
        return None
    except Exception:
        return "there is no C++ compiler"
    return None


def traced(update: Update, stack: Stack, source: TensorSource, names: Sequence[str], rows: Tensor) -> Graph:
    """Trace an update of a scratch stack, whose state it changes; raises what the model raises under tracing."""
    state, spec = tree_flatten(stack.state)
    data = [*source.inputs, source.target]
    dtype = torch.float64 if stack.precise else torch.float32
    h = [torch.zeros(stack.size, dtype=dtype, device=rows.device) for _ in names]

    def flat(*given: Tensor) -> tuple[Tensor, Tensor]:
        before, rest = given[: len(state)], given[len(state) :]
        inputs, (target, index), values = rest[: len(data) - 1], rest[len(data) - 1 : len(data) + 1], rest[-len(h) :]
        own = TensorSource(tuple(inputs), target)
        start: State = tree_unflatten(list(before), spec)
        after, losses, norms = update(own, start, index, dict(zip(names, values, strict=True)))
        for old, new in zip(before, tree_flatten(after)[0], strict=True):
            if old is not new:
                old.copy_(new)
        return losses, norms

    example = [*state, *data, rows, *h]
    with torch.no_grad():
        return Graph(make_fx(flat)(*example), example, stack.size)


def compiled(graph: Graph) -> Compiled:
    """Compile a traced update for the number of threads that torch uses now; raises what the compiler raises.

    What this process has compiled before is used again.
    """
    if graph.known:
        return _KNOWN[graph.key]
    made = _compile(graph)
    if graph.reusable:
        _KNOWN[graph.key] = replace(made, seconds=0.0)
    return made


def _compile(graph: Graph) -> Compiled:
    # Not torch.compile: its guards cost time at every call, and its cache is not meant for several threads.
    import torch._inductor

    began = time.perf_counter()
    with torch.no_grad():
        function = torch._inductor.compile(graph.module, list(graph.example), options=_OPTIONS)
        assert callable(function)
        function(*graph.example)
    return Compiled(function, graph.size, time.perf_counter() - began)


def _flat(state: State, source: TensorSource) -> list[Tensor]:
    return [*tree_flatten(state)[0], *source.inputs, source.target]
