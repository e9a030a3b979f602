"""Compiled updates: the generated code is called by itself only where it does what torch's own call does."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from lrtool.engine.private import Function, plain_instructions
from lrtool.engine.vector.compiling import Graph, _innermost, compiled, missing_compiler


def descent(weights: Tensor, data: Tensor, lr: Tensor) -> tuple[Tensor, Tensor]:
    """An update that changes its first tensor: losses and norms."""
    gradients = weights - data
    weights.copy_(weights - lr * gradients)
    return gradients.square().sum(1), gradients.sum(1)


def graph_of_descent() -> Graph:
    example = [torch.ones(2, 3), torch.arange(6.0).view(2, 3), torch.full((2, 1), 0.5)]
    return Graph(make_fx(descent)(*[tensor.clone() for tensor in example]), example, size=2, changed=1)


def whole(given: list[Tensor]) -> Sequence[Tensor]:
    return descent(*given)


def found(graph: Graph, code: Function, forms: Sequence[Tensor] | None = None, count: int = 1) -> Function:
    """What is called where the compiler generated this code for inputs of these forms."""
    inputs = graph.example if forms is None else forms
    return _innermost(graph, whole, [(SimpleNamespace(current_callable=code), inputs)] * count)


def test_code_that_does_the_same_is_called_by_itself() -> None:
    def same(given: list[Tensor]) -> Sequence[Tensor]:
        return descent(*given)

    graph = graph_of_descent()
    before = [tensor.clone() for tensor in graph.example]
    assert found(graph, same) is same
    assert all(torch.equal(a, b) for a, b in zip(graph.example, before, strict=True))


def forgets_the_state(given: list[Tensor]) -> Sequence[Tensor]:
    return descent(given[0].clone(), *given[1:])


def gives_other_losses(given: list[Tensor]) -> Sequence[Tensor]:
    losses, norms = descent(*given)
    return losses * 1.0000002, norms


def gives_less(given: list[Tensor]) -> Sequence[Tensor]:
    return descent(*given)[:1]


def wants_other_inputs(given: list[Tensor]) -> Sequence[Tensor]:
    (weights,) = given
    return weights, weights


@pytest.mark.parametrize("code", [forgets_the_state, gives_other_losses, gives_less, wants_other_inputs, None])
def test_code_that_does_anything_else_is_not(code: Function) -> None:
    assert found(graph_of_descent(), code) is whole


def test_code_for_inputs_of_another_form_is_never_called() -> None:
    def fail(given: list[Tensor]) -> Sequence[Tensor]:
        pytest.fail("called")

    graph = graph_of_descent()
    weights, data, lr = graph.example
    for forms in ([weights, data], [weights, lr, data], [weights, data, lr.double()], [weights, data.mT, lr]):
        assert found(graph, fail, forms) is whole
    assert found(graph, fail, count=2) is whole


def test_nan_equals_nan() -> None:
    graph = graph_of_descent()
    graph.example[1][0, 0] = torch.nan
    assert found(graph, descent_of_list) is descent_of_list


def descent_of_list(given: list[Tensor]) -> Sequence[Tensor]:
    return descent(*given)


def test_a_compiled_update_equals_the_plain_one() -> None:
    lacking = missing_compiler(torch.device("cpu"))
    if lacking is not None:
        pytest.skip(lacking)
    graph = graph_of_descent()
    function = compiled(graph).function
    for _ in range(2):
        state = [tensor.clone() for tensor in graph.example]
        losses, norms = function(list(state))
        expected = [tensor.clone() for tensor in graph.example]
        torch.testing.assert_close((losses, norms), descent(*expected))
        torch.testing.assert_close(state, expected)
    assert function.__name__ != "<lambda>", "torch's own call is used, which is slower: has it changed?"


def test_what_torch_knows_of_the_processor_is_left_to_torch() -> None:
    cpu_vec_isa = pytest.importorskip("torch._inductor.cpu_vec_isa")
    tried = cpu_vec_isa.VecISA.check_build
    with pytest.raises(ZeroDivisionError), plain_instructions():
        assert not cpu_vec_isa.VecISA().check_build("")
        raise ZeroDivisionError
    assert cpu_vec_isa.VecISA.check_build is tried
    assert cpu_vec_isa.valid_vec_isa_list.cache_info().currsize == 0
