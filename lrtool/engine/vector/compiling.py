"""Compiling the update of a stack: traced as one graph, which changes the stack in place, and compiled once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from lrtool.engine import clock
from lrtool.engine.private import Function, has_cpp_compiler, inductor_compiled, plain_instructions
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.replaying import Step, replayed, replays
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import Update, first_rows, trial_update
from lrtool.tasks.base import Task
from lrtool.tasks.failures import ran_out_of_memory
from lrtool.tasks.sources import TensorSource

#: Seconds that compiling takes, roughly: to start the compiler, and per operator of the graph.
START, _PER_OPERATOR = 3.0, 0.01
#: What this process has compiled, by the graph's key.
_KNOWN: dict[str, Compiled] = {}


@dataclass(frozen=True)
class Graph:
    """A traced update of stacks of one size: flat tensors in, losses and norms out, the state changed in place.

    The first `changed` tensors are the state.
    """

    module: torch.fx.GraphModule
    example: Sequence[Tensor]
    size: int
    changed: int

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
    def usual_seconds(self) -> float:
        """How long compiling it takes on a usual machine with nothing else to do."""
        return usual_seconds(self.operators)


@dataclass(frozen=True)
class Compiled:
    """A compiled update, or one that is only traced; several threads may call it, each with a stack of its own."""

    function: Function
    size: int
    seconds: float

    def bind(self, stack: Stack, source: TensorSource) -> Step:
        """(rows, hyperparameters) → (losses, norms), which trains `stack` in place, on a GPU from a recording."""
        state = stack.state.tensors()
        fixed = [*state, *source.inputs, source.target]
        if replays(source.target.device):
            return replayed(self.function, fixed, len(state))

        def step(rows: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            losses, norms = self.function([*fixed, rows, h])
            return losses, norms

        return step


def usual_seconds(operators: int) -> float:
    """How long compiling so many operators takes on a usual machine with nothing else to do."""
    return START + _PER_OPERATOR * operators


def missing_compiler(device: torch.device) -> str | None:
    """Why nothing can be compiled here, before trying; None if nothing is known against it."""
    if device.type != "cpu":
        return None
    return None if has_cpp_compiler() else "there is no C++ compiler"


def traced(update: Update, stack: Stack, source: TensorSource, names: Sequence[str], rows: Tensor) -> Graph:
    """Trace an update of a scratch stack, whose state it changes; raises what the model raises under tracing."""
    template = stack.state
    state = template.tensors()
    # Not 0, so that whether two updates do the same is seen.
    h = torch.full((len(names), stack.size), 0.01, dtype=stack.hyperparameter_type, device=rows.device)

    def flat(*given: Tensor) -> tuple[Tensor, Tensor]:
        before, (*inputs, target, index, values) = given[: len(state)], given[len(state) :]
        own = TensorSource(tuple(inputs), target)
        start = template.of(before)
        after, losses, norms = update(own, start, index, dict(zip(names, values.unbind(), strict=True)))
        for old, new in zip(before, after.tensors(), strict=True):
            if old is not new:
                old.copy_(new)
        return losses, norms

    example: list[Tensor] = [*state, *source.inputs, source.target, rows, h]
    with torch.no_grad():
        return Graph(make_fx(flat)(*example), example, stack.size, len(state))


def as_traced(graph: Graph) -> Compiled:
    """The traced update as it is, nothing compiled: what is recorded where compiling would not pay."""
    return Compiled(lambda given: graph.module(*given), graph.size, 0.0)


def usual_update(update: Update, task: Task, recipe: Recipe, size: int) -> Callable[[], None]:
    """One update of a scratch stack as those that are not compiled are done: on a GPU recorded, where that goes."""
    if replays(recipe.device):
        try:
            recorded = _recorded_update(update, task, recipe, size)
            if update.unknown is None:
                return recorded
        except Exception as error:
            if ran_out_of_memory(error):
                raise
    return trial_update(update, task, recipe, size)


def _recorded_update(update: Update, task: Task, recipe: Recipe, size: int) -> Callable[[], None]:
    source, stack = task.train, Stack(update.skeleton, recipe, size)
    assert isinstance(source, TensorSource)
    rows = first_rows(task, recipe, size)
    graph = traced(update, stack, source, recipe.per_update, rows)
    h = torch.zeros(len(recipe.per_update), size, dtype=stack.hyperparameter_type, device=recipe.device)
    step = as_traced(graph).bind(stack, source)

    def one() -> None:
        with torch.no_grad():
            step(rows, h)

    one()
    return one


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
    began = clock.worked()
    with torch.no_grad(), plain_instructions(), clock.programs():
        whole, pieces = inductor_compiled(graph.module, graph.example)
        function = _innermost(graph, whole, pieces)
    return Compiled(function, graph.size, clock.since(began))


def _innermost(graph: Graph, whole: Function, pieces: Sequence[tuple[Any, Sequence[Tensor]]]) -> Function:
    """The generated code itself where it does exactly what `whole` does, else `whole`.

    What torch has around the code is for aliases and gradients, which there are none of here, and takes 5% of the time
    of a small model's update.
    """
    expected = _outcome(graph, whole)
    if len(pieces) != 1 or [_form(t) for t in pieces[0][1]] != [_form(t) for t in graph.example]:
        return whole
    code = getattr(pieces[0][0], "current_callable", None)
    try:
        return code if callable(code) and _equal(_outcome(graph, code), expected) else whole
    except Exception:
        # It was not meant to be called like this.
        return whole


def _outcome(graph: Graph, function: Function) -> list[Tensor]:
    """What a call gives and what it makes of the state, from the example on."""
    state = [tensor.clone() for tensor in graph.example[: graph.changed]]
    found = function([*state, *graph.example[graph.changed :]])
    return [*found, *state]


def _equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in pairs)


def _form(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device
