"""Norms and clipping, sparse gradients beside dense ones, against the same gradients held densely."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lrtool.engine.loop.updating import clipped_norm, gradient_norms


def parameters(sparse: bool) -> list[nn.Parameter]:
    """An embedding of which a row is looked up twice, a matrix, and a parameter without a gradient."""
    torch.manual_seed(0)
    table, matrix = nn.Embedding(5, 3, sparse=sparse), nn.Linear(3, 2)
    matrix(table(torch.tensor([1, 3, 1]))).square().sum().backward()
    return [*table.parameters(), *matrix.parameters(), nn.Parameter(torch.zeros(2))]


@pytest.mark.parametrize("limit", [None, 0.1, 1e6])
def test_sparse_gradients_count_as_dense_ones(limit: float | None) -> None:
    sparse, dense = parameters(True), parameters(False)
    assert sparse[0].grad is not None and sparse[0].grad.is_sparse
    torch.testing.assert_close(clipped_norm(sparse, limit), clipped_norm(dense, limit))
    for one, other in zip(sparse, dense, strict=True):
        if one.grad is None or other.grad is None:
            assert one.grad is other.grad
            continue
        torch.testing.assert_close(one.grad.to_dense(), other.grad)


def test_dense_gradients_are_clipped_as_torch_does() -> None:
    ours, theirs = parameters(False), parameters(False)
    assert clipped_norm(ours, 0.1) == nn.utils.clip_grad_norm_(theirs, 0.1)
    assert all(a.grad is None or torch.equal(a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("limit", [None, 0.1])
def test_norms_are_those_before_clipping(limit: float | None) -> None:
    ours = parameters(True)
    dense = [p.grad.to_dense() for p in ours if p.grad is not None]
    expected = torch.stack([torch.cat([g.flatten() for g in dense]).norm(p) for p in (2, 1)])
    assert gradient_norms(parameters(True), limit, wanted=False) is None
    torch.testing.assert_close(gradient_norms(ours, limit), expected)
