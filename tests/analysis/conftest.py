"""Constructed range tests: what happens is known, so what a method should say is known."""

from types import SimpleNamespace

import numpy as np
import pytest


def ramp(steps, start=1e-6, end=10.0):
    return np.geomspace(start, end, steps)


def typical(seeds=3, steps=100, noise=0.05, offset=0.0, fall_at=1e-2, explode_at=0.5, seed=0):
    """Falls by 1.5 around `fall_at`, grows by 60% a step beyond `explode_at`."""
    lr = ramp(steps)
    fall = 1.5 / (1 + (fall_at / lr) ** 1.5)
    step = np.arange(steps) - np.searchsorted(lr, explode_at)
    growth = np.where(step > 0, 0.05 * 1.6 ** np.clip(step, 0, 60), 0.0)
    random = np.random.default_rng(seed).normal(size=(seeds, steps))
    return lr, offset + 2.3 - fall + growth + noise * random


def flat(seeds=3, steps=100, seed=0):
    return ramp(steps), 0.7 + 0.1 * np.random.default_rng(seed).normal(size=(seeds, steps))


def rising(seeds=3, steps=100, seed=0):
    lr = ramp(steps)
    return lr, 0.3 + 2.0 / (1 + (0.03 / lr) ** 1.5) + 0.05 * np.random.default_rng(seed).normal(size=(seeds, steps))


def two_valleys(steps=100):
    """A long fall, a long rise, a short deep fall: the longest decreasing subsequence leaps over the rise."""
    t = np.arange(steps)
    return np.interp(t, [0, 20, 50, 80, 86, 90, 99], [2.2, 2.3, 1.5, 2.2, 1.0, 1.1, 40.0])


CURVES = {
    "typical": typical(seeds=1)[1][0],
    "long": typical(seeds=1, steps=200, seed=1)[1][0],
    "noisy": typical(seeds=1, noise=0.3, seed=2)[1][0],
    "flat": flat(seeds=1)[1][0],
    "rising": rising(seeds=1)[1][0],
    "two valleys": two_valleys(),
}


@pytest.fixture(scope="session")
def curves():
    return SimpleNamespace(ramp=ramp, typical=typical, flat=flat, rising=rising, two_valleys=two_valleys, named=CURVES)
