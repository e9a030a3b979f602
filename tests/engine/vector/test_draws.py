"""Random draws of stacks: as good as torch's, a trial's own whoever is beside it, and the same compiled or not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.func import vmap
from torch.fx.experimental.proxy_tensor import make_fx

from lrtool.engine.vector.compiling import missing_compiler
from lrtool.engine.vector.draws import Draws, key_of, mixed, uniform

#: Draws of a stream, and how far from what is expected a statistic may be: 1 in 10,000 by chance, were it another seed.
COUNT, CHANCE = 100_000, 1e-4


def keys(*seeds: int) -> Tensor:
    return torch.tensor([key_of(seed) for seed in seeds], dtype=torch.int32)


def drawn(*seeds: int, number: int = 0, count: int = COUNT) -> np.ndarray:
    """Uniform values by trial, (trials, count), float64."""
    return uniform(keys(*seeds), number, (len(seeds), count), torch.float32).double().numpy()


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_values_are_uniform(seed: int) -> None:
    values = drawn(seed)[0]
    assert values.min() >= 0 and values.max() < 1
    assert abs(values.mean() - 0.5) < 4 * math.sqrt(1 / 12 / COUNT)
    assert abs(values.var() - 1 / 12) < 4 * math.sqrt(1 / 180 / COUNT)
    assert stats.kstest(values, "uniform").pvalue > CHANCE
    # All 24 bits are used, the lowest ones too.
    low = np.bincount((values * 2**24).astype(np.int64) & 0xFF, minlength=256)
    assert stats.chisquare(low).pvalue > CHANCE


def test_neighbours_are_independent() -> None:
    """Of places, of draws, of updates, of trials whose seeds are neighbours: none tells another."""
    values = drawn(0)[0]
    pairs = {
        "places": (values[:-1], values[1:]),
        "draws": (values, drawn(0, number=1)[0]),
        "seeds": (values, drawn(1)[0]),
        "updates": tuple(
            uniform(mixed(keys(0) ^ mixed(torch.tensor([step], dtype=torch.int32))), 0, (1, COUNT), torch.float32)[0]
            .double()
            .numpy()
            for step in (0, 1)
        ),
    }
    for what, (one, other) in pairs.items():
        correlation = np.corrcoef(one, other)[0, 1]
        assert abs(correlation) < 4 / math.sqrt(COUNT), what
        table = np.histogram2d(one, other, bins=8, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(table.ravel()).pvalue > CHANCE, what


def test_a_trials_values_do_not_depend_on_its_company() -> None:
    alone = drawn(5, count=1000)[0]
    for company in ((5, 6), (9, 5), tuple(range(20))):
        assert np.array_equal(drawn(*company, count=1000)[company.index(5)], alone)
    assert len({row.tobytes() for row in drawn(*range(20), count=1000)}) == 20


def test_the_hash_is_a_bijection_of_words() -> None:
    words = torch.arange(-(2**15), 2**15, dtype=torch.int32) * 65537
    found = mixed(words)
    assert found.dtype == torch.int32 and len(torch.unique(found)) == len(words)
    # A changed bit changes half of the others.
    changed = (mixed(words ^ 1) ^ found).numpy().view(np.uint8)
    assert abs(np.unpackbits(changed).mean() - 0.5) < 0.005


Model = Callable[[Tensor], Tensor]
MODELS: dict[str, Model] = {
    "dropout": lambda x: torch.nn.functional.dropout(x, 0.3, training=True),
    "rand_like": torch.rand_like,
    "randn_like": torch.randn_like,
    "normal": lambda x: torch.empty_like(x).normal_(1.0, 2.0),
    "bernoulli": lambda x: torch.bernoulli(torch.full_like(x, 0.25)),
    "randint": lambda x: torch.randint_like(x, 2, 7),
    "exponential": lambda x: torch.empty_like(x).exponential_(2.0),
}
#: Mean and variance of each, of ones.
MOMENTS = {
    "dropout": (1.0, 0.3 / 0.7),
    "rand_like": (0.5, 1 / 12),
    "randn_like": (0.0, 1.0),
    "normal": (1.0, 4.0),
    "bernoulli": (0.25, 0.1875),
    "randint": (4.0, 2.0),
    "exponential": (0.5, 0.25),
}


def of_stack(model: Model, given: Tensor, x: Tensor) -> Tensor:
    """What a stacked model draws from these keys."""
    with Draws(given) as draws:
        out = vmap(model, randomness="different")(x)
    assert draws.unknown is None
    return out


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_draw_has_the_mean_and_variance_of_its_distribution(name: str) -> None:
    values = of_stack(MODELS[name], keys(3, 4), torch.ones(2, COUNT))[0].double()
    mean, variance = MOMENTS[name]
    assert abs(values.mean().item() - mean) < 5 * math.sqrt(variance / COUNT)
    assert values.var().item() == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_draws_alone_what_it_draws_in_a_stack(name: str) -> None:
    x = torch.ones(2, 40)
    stacked = of_stack(MODELS[name], keys(3, 4), x)
    for index, seed in enumerate((3, 4)):
        with Draws(keys(seed), alone=True):
            alone = MODELS[name](x[index])
        assert torch.equal(alone, stacked[index])


def test_what_has_no_form_is_named() -> None:
    with Draws(keys(0, 1)) as draws:
        vmap(lambda x: torch.empty_like(x).cauchy_(), randomness="different")(torch.ones(2, 3))
    assert draws.unknown is not None and "cauchy" in draws.unknown


@pytest.mark.skipif(missing_compiler(torch.device("cpu")) is not None, reason="nothing can be compiled here")
def test_compiled_draws_are_the_plain_ones_bit_by_bit() -> None:
    def every(given: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        # Whole draws and dropout; Box and Muller's logarithm and cosine may be rounded otherwise by a compiler.
        exact = ("dropout", "rand_like", "bernoulli", "randint")
        return (mixed(given), *(of_stack(MODELS[name], given, x) for name in exact))

    given, x = keys(*range(5)), torch.ones(5, 333)
    graph = make_fx(every)(given, x)
    compiled = torch.compile(graph, fullgraph=True, dynamic=False)
    for seeds in (range(5), range(100, 105)):
        for found, expected in zip(compiled(keys(*seeds), x), every(keys(*seeds), x), strict=True):
            assert torch.equal(found, expected)
