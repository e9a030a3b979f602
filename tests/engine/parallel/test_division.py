"""The division of a batch: no sample is lost or doubled, and the weighted means are the mean."""

from __future__ import annotations

import numpy as np
import pytest

from lrtool.engine.parallel.division import part_of


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("count", [7, 8, 13, 64])
def test_the_parts_make_the_batch_and_their_means_its_mean(count: int, size: int) -> None:
    samples = np.random.default_rng(count).normal(size=count)
    parts = [part_of(count, rank, size) for rank in range(size)]
    np.testing.assert_array_equal(np.concatenate([samples[part] for part, _ in parts]), samples)
    assert np.mean([factor * samples[part].mean() for part, factor in parts]) == pytest.approx(samples.mean())
    lengths = [len(samples[part]) for part, _ in parts]
    assert max(lengths) - min(lengths) <= 1


def test_of_a_batch_smaller_than_the_company_everyone_takes_all() -> None:
    assert [part_of(2, rank, 3) for rank in range(3)] == [(slice(0, 2), 1.0)] * 3
