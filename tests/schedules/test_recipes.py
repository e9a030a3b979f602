"""Published recipes, as configs/recipes has them, against their own formulas at every update."""

import math
from pathlib import Path

import numpy as np
import pytest

from lrtool.config.load import load_config

FOLDER = Path(__file__).parents[2] / "configs" / "recipes"
#: Updates in an epoch; recipes that count epochs are checked with so many.
EPOCH = 40


def cosine(x):
    return (1 + math.cos(math.pi * x)) / 2


def resnet50_v2(t):
    epoch = t // EPOCH
    return 0.5 * (0.01 + 0.99 * epoch / 5) if epoch < 5 else 0.5 * cosine((epoch - 5) / 595)


def one_hour(t):
    epoch = t / EPOCH
    return 0.1 + 3.1 * epoch / 5 if epoch < 5 else 3.2 * 0.1 ** sum(epoch >= each for each in (30, 60, 80))


def deit(t):
    epoch = t // EPOCH
    return 1e-6 + (5e-4 - 1e-6) * epoch / 5 if epoch < 5 else 1e-5 + (5e-4 - 1e-5) * cosine(epoch / 300)


def minicpm(t):
    return 0.01 * ((t + 1) / 2000 if t < 2000 else 1 if t < 180_000 else 0.5 ** ((t - 180_000) / 5000))


def fastai(t):
    x = t / (5 * EPOCH)
    if x < 0.25:
        return 0.001 * (1 / 25 + (1 - 1 / 25) * (1 - cosine(x / 0.25)))
    return 0.001 * (1e-5 + (1 - 1e-5) * cosine((x - 0.25) / 0.75))


def deepseek(t):
    return 4.2e-4 * ((t + 1) / 2000 if t < 2000 else 1 if t < 160_000 else 0.316 if t < 180_000 else 0.1)


def detectron2(t):
    return 0.02 * (0.001 + 0.999 * t / 1000 if t < 1000 else 0.1 ** sum(t >= each for each in (60_000, 80_000)))


FORMULAS = {
    "resnet50-v1": lambda t: 0.1 * 0.1 ** (t // EPOCH // 30),
    "resnet50-v2": resnet50_v2,
    "resnet50-one-hour": one_hour,
    "deit": deit,
    "bert": lambda t: 1e-4 * (t / 10_000 if t < 10_000 else 1 - t / 1_000_000),
    "transformer-2017": lambda t: 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * 4000**-1.5),
    "nanogpt": lambda t: 6e-4 * (t + 1) / 2001 if t < 2000 else 6e-5 + 5.4e-4 * cosine((t - 2000) / (600_000 - 2000)),
    "llama2-7b": lambda t: 3e-4 * (t + 1) / 2000 if t < 2000 else 3e-5 + 2.7e-4 * cosine((t - 2000) / 498_000),
    "deepseek-7b": deepseek,
    "minicpm-wsd": minicpm,
    "fastai-one-cycle": fastai,
    "detectron2-1x": detectron2,
}


def test_every_recipe_has_its_formula():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == FORMULAS.keys()


@pytest.mark.parametrize("name", FORMULAS)
def test_a_recipe_equals_its_formula_at_every_update(name):
    config = load_config(FOLDER / f"{name}.yaml")
    steps = config.train.duration.steps(0, EPOCH)
    found = config.schedule.bind(config.optimizer.lr, steps, EPOCH).table()
    wanted = np.array([FORMULAS[name](t) for t in range(steps)])
    difference = np.abs(found - wanted) / np.maximum(wanted, 1e-300)
    worst = float(np.where(wanted == found, 0, difference).max())
    print(f"{name}: {steps:,} updates, largest relative difference {worst:.1e}")
    assert worst <= 1e-9
