"""Made-up responses of loss to LR, of known truth: the kinds that `tune` meets, each with its own random settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rng = np.random.Generator

#: Grids of LRs: how many, and the factor between them.
LRS, RATIOS = (5, 6, 7, 9, 13), (1.5, 2.0)
#: Standard deviation of one trial's log loss, from … to, and of what a seed adds at every LR.
NOISE, OFFSET = (0.005, 0.1), 0.1
#: Every so many trials one is worse by up to this factor: a seed that is stuck.
OUTLIERS, OUTLIER = 0.03, 1.5
#: A training that diverged counts as this many times the best loss.
DIVERGED = 4.0
TRUE_LR = 0.03


@dataclass(frozen=True)
class Shape:
    """One response: `log_loss(u)`, expected, against u = ln(LR/`TRUE_LR`), 0 or more; infinite where it diverges.

    `cliff_noise`: how far seeds differ in where they diverge. `growth`: noise is this many times larger an e-fold up.
    """

    log_loss: Callable[[Array], Array]
    growth: float = 0.0
    cliff: float = np.inf
    cliff_noise: float = 0.0

    def expected(self, u: Array) -> Array:
        """Log of the expected loss, a diverged training counting as `DIVERGED`."""
        from scipy.special import ndtr

        good = np.exp(self.log_loss(np.asarray(u)))
        if not np.isfinite(self.cliff):
            return np.log(good)
        if self.cliff_noise:
            lost = ndtr((u - self.cliff) / self.cliff_noise)
        else:
            lost = (np.asarray(u) > self.cliff).astype(float)
        return np.log(good * (1 - lost) + DIVERGED * lost)


@dataclass(frozen=True)
class Sample:
    """What a search would see of a shape, and the truth over the LRs tried."""

    shape: Shape
    u: Array
    losses: Array
    level: float

    @property
    def lr(self) -> Array:
        """(n,)."""
        return TRUE_LR * np.exp(self.u)


def _bowl(left: float, right: float) -> Callable[[Array], Array]:
    return lambda u: np.where(u < 0, left, right) * u**2


def parabola(rng: Rng) -> Shape:
    """Loss that rises as the square of the log LR, alike on both sides."""
    k = np.exp(rng.uniform(np.log(0.02), np.log(0.4)))
    return Shape(_bowl(k, k))


def lopsided(rng: Rng) -> Shape:
    """Gentle on the left, steep on the right."""
    return Shape(_bowl(rng.uniform(0.01, 0.1), rng.uniform(0.3, 2.0)))


def elbow(rng: Rng) -> Shape:
    """Falls in a straight line, gentle to steep, and stays flat."""
    slope = np.exp(rng.uniform(np.log(0.1), np.log(2.0)))
    return Shape(lambda u: slope * np.maximum(-u, 0))


def soft_elbow(rng: Rng) -> Shape:
    """The same with a round corner, and a slow rise after one or two decades."""
    k, floor = np.exp(rng.uniform(np.log(0.05), np.log(1.0))), rng.uniform(2.3, 4.6)
    return Shape(lambda u: k * np.maximum(-u, 0) ** 2 + 0.5 * np.maximum(u - floor, 0) ** 2)


def tilted_floor(rng: Rng) -> Shape:
    """Falls steeply, then ever so slowly for up to a decade, then rises."""
    width, left, tilt, right = (
        rng.uniform(0.8, 2.5),
        rng.uniform(0.3, 1.5),
        rng.uniform(0.01, 0.04),
        rng.uniform(0.1, 1),
    )
    return Shape(lambda u: left * np.maximum(-width - u, 0) + tilt * np.maximum(-u, 0) + right * np.maximum(u, 0) ** 2)


def saturated(rng: Rng) -> Shape:
    """Far too small LRs learn nothing, all alike; then a fall to the best and a rise."""
    height, width, right = rng.uniform(0.4, 2.0), rng.uniform(0.8, 2.0), rng.uniform(0.1, 1.0)
    return Shape(lambda u: height * (1 - np.exp(-((np.minimum(u, 0) / width) ** 2))) + right * np.maximum(u, 0) ** 2)


def cliff(rng: Rng) -> Shape:
    """Falls until it diverges at once, somewhere between two LRs that are tried."""
    slope, curve = rng.uniform(0.0, 0.3), rng.uniform(0.0, 0.05)
    return Shape(lambda u: -slope * u + curve * u**2 + 0 * u, cliff=rng.uniform(-0.35, 0.35))


def ragged_cliff(rng: Rng) -> Shape:
    """The same, each seed at another LR."""
    slope, curve = rng.uniform(0.0, 0.3), rng.uniform(0.0, 0.05)
    where, noise = rng.uniform(-0.35, 0.35), rng.uniform(0.05, 0.4)
    return Shape(lambda u: -slope * u + curve * u**2, cliff=where, cliff_noise=noise)


def step_up(rng: Rng) -> Shape:
    """A bowl whose right side jumps to a loss that is finite and bad."""
    k, where, jump = rng.uniform(0.02, 0.2), rng.uniform(-0.5, 0.8), rng.uniform(0.3, 1.2)
    return Shape(lambda u: k * u**2 + jump * (u > where) * (1 + 0.2 * (u - where)))


def floor(rng: Rng) -> Shape:
    """Flat for one or two decades between two walls."""
    half = rng.uniform(1.15, 2.3)
    left, right = rng.uniform(0.3, 1.5, 2)
    return Shape(lambda u: left * np.maximum(-half - u, 0) + right * np.maximum(u - half, 0))


def flat(rng: Rng) -> Shape:
    """Hardly depends on the LR."""
    k = rng.uniform(0.0, 0.005)
    return Shape(_bowl(k, k))


def two_valleys(rng: Rng) -> Shape:
    """Two minima with a hump between, the one deeper than the other by a little."""
    apart, hump, deeper = rng.uniform(1.2, 2.4), rng.uniform(0.03, 0.2), rng.uniform(0.01, 0.08)
    k, sign = hump / (apart / 2) ** 2, rng.choice([-1, 1])
    return Shape(lambda u: np.minimum(k * u**2, deeper + k * (u - sign * apart) ** 2))


def growing_noise(rng: Rng) -> Shape:
    """A bowl whose seeds differ more the larger the LR."""
    k = np.exp(rng.uniform(np.log(0.03), np.log(0.3)))
    return Shape(_bowl(k, k * rng.uniform(1, 4)), growth=rng.uniform(0.3, 0.8))


SHAPES: dict[str, Callable[[Rng], Shape]] = {
    each.__name__.replace("_", " "): each
    for each in (
        parabola, lopsided, elbow, soft_elbow, tilted_floor, saturated, cliff, ragged_cliff, step_up, floor, flat,
        two_valleys, growing_noise,
    )
}  # fmt: skip


def drawn(kind: str, seeds: int, rng: Rng) -> Sample:
    """One measurement of one shape of this kind."""
    shape = SHAPES[kind](rng)
    count, gap = int(rng.choice(LRS)), np.log(rng.choice(RATIOS))
    shift = np.clip(rng.normal(0, 1), -(count - 3) / 2, (count - 3) / 2) + rng.uniform(-0.5, 0.5)
    u = (np.arange(count) - (count - 1) / 2 + shift) * gap
    sigma = np.exp(rng.uniform(*np.log(NOISE))) * np.exp(shape.growth * u)[:, None]
    offsets = rng.normal(0, OFFSET, seeds)
    noise = sigma * rng.standard_normal((count, seeds)) - sigma**2 / 2
    stuck = (rng.random((count, seeds)) < OUTLIERS) * rng.uniform(0, np.log(OUTLIER), (count, seeds))
    losses = np.exp(shape.log_loss(u)[:, None] + offsets + noise + stuck)
    at = shape.cliff + shape.cliff_noise * rng.standard_normal((count, seeds))
    mean_stuck = 1 - OUTLIERS + OUTLIERS * (OUTLIER - 1) / np.log(OUTLIER)
    level = float(np.log(np.exp(offsets).mean() * mean_stuck))
    return Sample(shape, u, np.where(u[:, None] > at, np.nan, losses), level)
