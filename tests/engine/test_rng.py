# ruff: noqa: NPY002 - numpy's global state is what is tested here
"""Random states are seeded per trial, captured whole and put back."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from lrtool.engine import rng

CPU = torch.device("cpu")


def draws() -> list[float]:
    """A number from each generator, an odd count of normal values included."""
    return [torch.rand(1).item(), np.random.standard_normal(), random.gauss(0, 1), random.random(), np.random.rand()]


@pytest.mark.parametrize("before", [0, 1, 2])
def test_restore_repeats_what_followed(before: int) -> None:
    for _ in range(before):
        draws()
    states = rng.capture(CPU)
    expected = [draws() for _ in range(3)]
    rng.restore(states, CPU)
    assert [draws() for _ in range(3)] == expected


def test_preserved_undoes_draws_and_seeds_even_after_an_error() -> None:
    states = rng.capture(CPU)
    expected = draws()
    rng.restore(states, CPU)
    with pytest.raises(ZeroDivisionError), rng.preserved(CPU):
        rng.seed_training(3, CPU)
        draws()
        raise ZeroDivisionError
    assert draws() == expected


def test_seeds_give_their_own_streams() -> None:
    streams = []
    with rng.preserved(CPU):
        for seed in (0, 1, 0):
            rng.seed_training(seed, CPU)
            streams.append(draws())
    assert streams[0] == streams[2]
    assert all(one != other for one, other in zip(streams[0], streams[1], strict=True))


def test_the_training_stream_is_not_that_of_the_initial_weights() -> None:
    with rng.preserved(CPU):
        rng.seed_training(0, CPU)
        training = torch.rand(4)
        torch.manual_seed(0)
        assert not torch.equal(training, torch.rand(4))
