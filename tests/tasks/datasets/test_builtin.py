"""The data sets that need no file of the user's: digits, and the synthetic ones."""

import random
import sys

import numpy as np
import pytest
import torch

from lrtool.errors import MissingExtraError
from lrtool.tasks.base import BuildContext, DataShape
from lrtool.tasks.datasets.digits import Digits
from lrtool.tasks.datasets.mnist1d import Mnist1d
from lrtool.tasks.datasets.regression import Regression
from lrtool.tasks.datasets.spirals import Spirals


def test_digits_are_the_real_ones(context: BuildContext) -> None:
    arrays, shape = Digits().arrays(context)
    assert shape == DataShape((1, 8, 8), 10, "class")
    images = arrays.inputs[0]
    assert images.shape == (1797, 1, 8, 8)
    assert (images.min(), images.max(), images.sum()) == (0, 16, 561718)
    assert np.bincount(arrays.target).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_are_split_by_seed_and_standardised(context: BuildContext) -> None:
    data, other = Digits().load(context), Digits(split_seed=1).load(context)
    assert (len(data.train), len(data.val or ())) == (1438, 359)
    assert data.train.inputs[0].dtype == torch.float32
    torch.testing.assert_close(data.train.inputs[0].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(data.train.inputs[0].std(), torch.tensor(1.0), atol=1e-3, rtol=0)
    assert not torch.equal(data.train.target, other.train.target)
    assert torch.equal(data.train.target, Digits().load(context).train.target)


def test_spirals_are_balanced_and_seeded(context: BuildContext) -> None:
    arrays, shape = Spirals(samples=300, arms=3, noise=0, turns=1).arrays(context)
    assert shape == DataShape((2,), 3, "class")
    assert np.bincount(arrays.target).tolist() == [100, 100, 100]
    x, y = arrays.inputs[0].T
    radius = np.hypot(x, y)
    angle = 2 * np.pi * (radius + arrays.target / 3)
    np.testing.assert_allclose([x, y], [radius * np.cos(angle), radius * np.sin(angle)], atol=1e-12)
    same, other = (Spirals(samples=300, arms=3, noise=0, turns=1, seed=s).arrays(context)[0] for s in (0, 1))
    assert np.array_equal(arrays.inputs[0], same.inputs[0])
    assert not np.array_equal(arrays.inputs[0], other.inputs[0])


def test_the_condition_of_a_regression_sets_its_scales(context: BuildContext) -> None:
    arrays, shape = Regression(features=3, outputs=2, condition=100, noise=0, samples=4000).arrays(context)
    assert shape == DataShape((3,), 2, "value")
    np.testing.assert_allclose(arrays.inputs[0].std(axis=0), [1, 0.1, 0.01], rtol=0.05)
    np.testing.assert_allclose(arrays.target.std(axis=0), 1)
    noisy = Regression(features=3, outputs=2, noise=0.5, samples=4000).arrays(context)[0]
    np.testing.assert_allclose((noisy.target - arrays.target).std(), 0.5, rtol=0.05)
    np.testing.assert_allclose(noisy.inputs[0] * [1, 0.1, 0.01], arrays.inputs[0])


def test_mnist1d_is_made_here_and_leaves_random_states(context: BuildContext, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mnist1d", reason="needs the package mnist1d")
    monkeypatch.chdir(context.folder)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    arrays, shape = Mnist1d(samples=200).arrays(context)
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002
    assert shape == DataShape((1, 40), 10, "class")
    assert np.bincount(arrays.target).tolist() == [20] * 10
    assert np.array_equal(arrays.inputs[0], Mnist1d(samples=200).arrays(context)[0].inputs[0])
    assert not list(context.folder.iterdir())


def test_mnist1d_names_its_extra(context: BuildContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mnist1d", None)
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lrtool\[datasets\]'"):
        Mnist1d().load(context)
