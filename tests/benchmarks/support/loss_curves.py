"""Training losses of many kinds, drawn at random: of trainings that broke down, and of those that did not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rng = np.random.Generator
Kind = Callable[[Rng], Array]

BROKEN: dict[str, Kind] = {}
SOUND: dict[str, Kind] = {}
#: Kinds that the rule was not designed on: they were only looked at once it stood.
HELD_OUT = frozenset(
    {
        "jump to ten times the start", "explodes after a warm up", "collapse of a regression", "saw tooth that grows",
        "explodes to a ceiling", "every third update huge", "negative loss explodes", "slow explosion",
        "double descent in epochs", "restarts of the LR", "regression on sorted targets", "reinforcement learning",
        "memorised but for some", "sparse hinge", "contrastive with a growing batch", "diffusion",
        "stairs of curricula",
        "KL that is annealed", "label noise that sets in", "dropout sets in",
    }
)  # fmt: skip


def broken(kind: Kind) -> Kind:
    """A kind of loss of a training that broke down."""
    BROKEN[kind.__name__.strip("_").replace("_", " ")] = kind
    return kind


def sound(kind: Kind) -> Kind:
    """A kind of loss of a training that did not."""
    SOUND[kind.__name__.strip("_").replace("_", " ")] = kind
    return kind


def length(rng: Rng, low: int = 60, high: int = 4000) -> int:
    """Updates of a run: short and long ones alike."""
    return int(math.exp(rng.uniform(math.log(low), math.log(high))))


def learning(rng: Rng, steps: int, start: float = 2.3, end: float | None = None, noise: float | None = None) -> Array:
    """A loss that falls exponentially from `start` to `end`, with noise in proportion to the level."""
    end = start * rng.uniform(0.05, 0.6) if end is None else end
    noise = rng.uniform(0.005, 0.1) if noise is None else noise
    t = np.arange(steps)
    level = end + (start - end) * np.exp(-t / (steps * rng.uniform(0.03, 0.25)))
    return level * (1 + noise * rng.normal(size=steps))


def growth(t: Array, rate: float) -> Array:
    """rate^t − 1 where t > 0, capped where floats end."""
    return np.expm1(np.minimum(np.maximum(t, 0) * math.log(rate), 600.0))


# --- broken -----------------------------------------------------------------------------------------------------------


@broken
def not_a_number(rng: Rng) -> Array:
    y = learning(rng, length(rng))
    y[rng.integers(len(y)) :] = rng.choice([np.nan, np.inf])
    return y


@broken
def explodes_late(rng: Rng) -> Array:
    steps = length(rng)
    t, at = np.arange(steps), int(steps * rng.uniform(0.2, 0.6))
    return learning(rng, steps) + 0.05 * growth(t - at, rng.uniform(1.1, 2) ** (120 / steps) if steps > 120 else 1.6)


@broken
def explodes_at_once(rng: Rng) -> Array:
    steps = length(rng, 15, 600)
    y = 2.3 * (1 + rng.uniform(0.2, 3) * growth(np.arange(steps), rng.uniform(1.5, 8)))
    return np.minimum(y, 10 ** rng.uniform(2.5, 30)) * (1 + 0.1 * rng.normal(size=steps))


@broken
def explodes_within_ten(rng: Rng) -> Array:
    steps, at = length(rng, 25, 600), int(rng.integers(2, 9))
    y = 2.3 - 0.05 * np.arange(steps).clip(max=at) + growth(np.arange(steps) - at, rng.uniform(2, 6))
    return np.minimum(y, 10 ** rng.uniform(2.5, 20)) * (1 + 0.05 * rng.normal(size=steps))


@broken
def explodes_in_a_short_run(rng: Rng) -> Array:
    steps = int(rng.integers(20, 110))
    at = int(steps * rng.uniform(0.2, 0.6))
    return learning(rng, steps) + 0.05 * growth(np.arange(steps) - at, rng.uniform(1.6, 4))


@broken
def explodes_just_before_the_end(rng: Rng) -> Array:
    steps = length(rng, 100, 2000)
    return learning(rng, steps) + 0.05 * growth(np.arange(steps) - (steps - 15), rng.uniform(2, 4))


@broken
def jump_to_twice_the_start(rng: Rng) -> Array:
    steps = length(rng)
    at = int(steps * rng.uniform(0.3, 0.7))
    y = learning(rng, steps, end=2.3 * rng.uniform(0.05, 0.5))
    y[at:] = 4.6 * (1 + 0.1 * rng.normal(size=steps - at))
    return y


@broken
def jump_to_ten_times_the_start(rng: Rng) -> Array:
    steps = length(rng)
    at = int(steps * rng.uniform(0.2, 0.8))
    y = learning(rng, steps)
    y[at:] = 23 * np.exp(0.5 * rng.normal(size=steps - at))
    return y


@broken
def jump_with_a_spike(rng: Rng) -> Array:
    steps = length(rng, 200)
    at = int(steps * rng.uniform(0.3, 0.6))
    y = learning(rng, steps, end=0.5)
    t = np.arange(steps - at)
    y[at:] = (4 + 30 * np.exp(-t / 8)) * (1 + 0.05 * rng.normal(size=steps - at))
    return y


@broken
def collapse_to_chance(rng: Rng) -> Array:
    steps = length(rng)
    at = int(steps * rng.uniform(0.2, 0.7))
    y = learning(rng, steps, start=math.log(10), end=rng.uniform(0.05, 0.9))
    y[at:] = math.log(10) + 0.01 * rng.normal(size=steps - at)
    return y


@broken
def collapse_after_a_spike(rng: Rng) -> Array:
    steps = length(rng, 200)
    at = int(steps * rng.uniform(0.2, 0.6))
    y = learning(rng, steps, start=math.log(10), end=rng.uniform(0.05, 0.9))
    t = np.arange(steps - at)
    y[at:] = math.log(10) + 20 * np.exp(-t / 5) + 0.02 * rng.normal(size=steps - at)
    return y


@broken
def collapse_of_a_language_model(rng: Rng) -> Array:
    steps = length(rng, 200)
    at = int(steps * rng.uniform(0.3, 0.6))
    y = learning(rng, steps, start=10.8, end=rng.uniform(3, 6), noise=0.02)
    rise = 1 - np.exp(-np.arange(steps - at) / (0.01 * steps))
    y[at:] = y[at - 1] + (10.7 - y[at - 1]) * rise + 0.1 * rng.normal(size=steps - at)
    return y


@broken
def collapse_of_a_regression(rng: Rng) -> Array:
    steps = length(rng)
    at = int(steps * rng.uniform(0.2, 0.6))
    y = learning(rng, steps, start=1.0, end=rng.uniform(0.05, 0.4))
    y[at:] = rng.uniform(0.99, 1.2) * rng.chisquare(64, size=steps - at) / 64
    return y


@broken
def alternating(rng: Rng) -> Array:
    steps = length(rng)
    at = int(rng.choice([0, 1, steps // 3]))
    y = learning(rng, steps, start=1.0, end=0.3) if at > 1 else np.full(steps, 0.3)
    y[at::2] = 1e6
    return y


@broken
def every_third_update_huge(rng: Rng) -> Array:
    steps = length(rng)
    y = learning(rng, steps)
    at = int(steps * rng.uniform(0.1, 0.5))
    y[at::3] = 10 ** rng.uniform(3, 9)
    return y


@broken
def oscillation_that_grows(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps)
    grown = np.exp(t / steps * rng.uniform(9, 14))
    y = 2.3 * np.exp(-4 * t / steps) + 0.002 * grown * np.sin(t * rng.uniform(0.5, 3))
    return y * (1 + 0.01 * rng.normal(size=steps))


@broken
def oscillation_above_zero_that_grows(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps)
    grown = np.exp(t / steps * rng.uniform(9, 14))
    y = 2.3 * np.exp(-4 * t / steps) + 0.002 * grown * (1 + np.sin(t * rng.uniform(0.5, 3)))
    return y * (1 + 0.01 * rng.normal(size=steps))


@broken
def saw_tooth_that_grows(rng: Rng) -> Array:
    steps = length(rng, 200)
    t = np.arange(steps)
    return 0.5 + 0.003 * np.exp(10 * t / steps) * (t % 7) / 6 + 0.01 * rng.normal(size=steps)


@broken
def explodes_to_a_ceiling(rng: Rng) -> Array:
    steps = length(rng)
    at = int(steps * rng.uniform(0.1, 0.6))
    top = 10 ** rng.uniform(1.2, 4)
    y = np.minimum(learning(rng, steps) + 0.05 * growth(np.arange(steps) - at, 2), top)
    return y * (1 + 0.1 * rng.normal(size=steps))


@broken
def explodes_after_a_warm_up(rng: Rng) -> Array:
    steps = length(rng, 200)
    t, at = np.arange(steps), steps // 10
    y = 10.8 - 2 * np.minimum(t / at, 1) + 0.05 * rng.normal(size=steps)
    return y + 0.05 * growth(t - at, 1.5)


@broken
def slow_explosion(rng: Rng) -> Array:
    steps = length(rng, 400)
    t, at = np.arange(steps), steps * 0.3
    return learning(rng, steps) + 0.01 * np.exp(np.maximum(t - at, 0) / steps * rng.uniform(14, 20))


@broken
def negative_loss_explodes(rng: Rng) -> Array:
    steps = length(rng)
    t, at = np.arange(steps), int(steps * rng.uniform(0.3, 0.6))
    return 1 - 4 * (1 - np.exp(-8 * t / steps)) + 0.2 * rng.normal(size=steps) + 0.1 * growth(t - at, 1.8)


@broken
def noise_that_explodes(rng: Rng) -> Array:
    steps = length(rng)
    t, at = np.arange(steps), int(steps * rng.uniform(0.3, 0.6))
    return learning(rng, steps) + 0.05 * growth(t - at, 1.6) * rng.exponential(size=steps)


# --- sound ------------------------------------------------------------------------------------------------------------


@sound
def noisy(rng: Rng) -> Array:
    return learning(rng, length(rng), noise=rng.uniform(0.2, 0.6))


@sound
def flat(rng: Rng) -> Array:
    steps = length(rng)
    return math.log(10) + 10 ** rng.uniform(-5, -0.7) * rng.normal(size=steps)


@sound
def constant(rng: Rng) -> Array:
    return np.full(length(rng), rng.choice([0.0, 0.25, math.log(10), -1.0]))


@sound
def spiky(rng: Rng) -> Array:
    y = learning(rng, length(rng))
    return y + rng.uniform(3, 300) * (rng.random(len(y)) < 0.02)


@sound
def spikes_that_take_a_while(rng: Rng) -> Array:
    y = learning(rng, length(rng, 300))
    for at in rng.integers(10, len(y), size=6):
        after = np.arange(len(y) - at)
        y[at:] += rng.uniform(1, 20) * np.exp(-after / rng.uniform(2, 0.03 * len(y)))
    return y


@sound
def one_long_excursion(rng: Rng) -> Array:
    steps = length(rng, 300)
    y, at = learning(rng, steps), int(steps * rng.uniform(0.1, 0.6))
    y[at:] += rng.uniform(1, 10) * np.exp(-np.arange(steps - at) / (0.08 * steps))
    return y


@sound
def early_rise(rng: Rng) -> Array:
    steps = length(rng, 100)
    t = np.arange(steps)
    rise = rng.uniform(0.5, 12) * t / 4 * np.exp(1 - t / 4)
    return learning(rng, steps) + rise


@sound
def heavy_tails(rng: Rng) -> Array:
    steps = length(rng)
    return 1.0 + 0.1 * rng.standard_t(2, size=steps) + np.exp(-np.arange(steps) / 100)


@sound
def skewed(rng: Rng) -> Array:
    steps = length(rng)
    return np.exp(rng.uniform(0.5, 1.5) * rng.normal(size=steps) - np.arange(steps) / steps)


@sound
def negative(rng: Rng) -> Array:
    steps = length(rng)
    return -3 - rng.uniform(0, 5) * np.arange(steps) / steps + 0.3 * rng.normal(size=steps)


@sound
def through_zero(rng: Rng) -> Array:
    steps = length(rng)
    return 1 - 4 * (1 - np.exp(-5 * np.arange(steps) / steps)) + 0.2 * rng.normal(size=steps)


@sound
def near_zero(rng: Rng) -> Array:
    return 10 ** rng.uniform(-9, -2) * rng.exponential(size=length(rng))


@sound
def to_zero(rng: Rng) -> Array:
    steps = length(rng)
    return 2.3 * np.exp(-np.arange(steps) * rng.uniform(5, 25) / steps) * rng.chisquare(4, size=steps) / 4


@sound
def generator(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps)
    wave = 0.5 * np.sin(t / steps * rng.uniform(10, 60)) + 0.3 * np.sin(t / 7)
    return 0.7 + rng.uniform(0.5, 4) * (1 - np.exp(-6 * t / steps)) + wave + 0.3 * rng.normal(size=steps)


@sound
def discriminator(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps)
    return 0.3 + 0.4 * np.exp(-t / 50) + 0.3 * np.abs(np.sin(t / steps * 20)) * rng.exponential(size=steps)


@sound
def walk_of_a_critic(rng: Rng) -> Array:
    steps = length(rng)
    return np.cumsum(rng.normal(size=steps)) * rng.uniform(0.01, 2) + rng.uniform(0, 2) * rng.normal(size=steps)


@sound
def smooth_walk_of_a_critic(rng: Rng) -> Array:
    steps = length(rng)
    drift = np.cumsum(np.cumsum(rng.normal(size=steps))) / np.sqrt(steps)
    return drift * rng.uniform(0.05, 1) + 0.3 * rng.normal(size=steps)


@sound
def walk_after_learning(rng: Rng) -> Array:
    steps = length(rng)
    return learning(rng, steps, end=0.5) + np.cumsum(rng.normal(size=steps)) * 3 / np.sqrt(steps)


@sound
def easy_first(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps) / steps
    rise = rng.uniform(0.5, 3) * t ** rng.uniform(0.4, 1.5)
    return (0.1 + 0.3 * np.exp(-20 * t) + rise) * (1 + 0.1 * rng.normal(size=steps))


@sound
def easy_first_from_next_to_nothing(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps) / steps
    return (0.01 + t ** rng.uniform(0.5, 2)) * rng.chisquare(16, size=steps) / 16


@sound
def regression_on_sorted_targets(rng: Rng) -> Array:
    steps = length(rng)
    t = np.linspace(-1, 1, steps)
    return (0.2 * np.exp(-10 * (t + 1)) + 0.05 + np.abs(t) ** 2) * rng.chisquare(8, size=steps) / 8


@sound
def sorted_classes(rng: Rng) -> Array:
    steps, classes = length(rng, 300), int(rng.integers(3, 11))
    t = np.arange(steps) % (steps // classes)
    first = np.arange(steps) < steps // classes
    peak = np.where(first, 2.3, rng.uniform(5, 12))
    return 0.02 + peak * np.exp(-t / rng.uniform(3, 12)) * (1 + 0.1 * rng.normal(size=steps))


@sound
def harder_from_the_middle_on(rng: Rng) -> Array:
    steps = length(rng)
    at = int(steps * rng.uniform(0.3, 0.7))
    y = learning(rng, steps, start=rng.uniform(0.5, 2.3))
    harder = rng.uniform(0.5, 6) * (0.5 + 0.5 * np.exp(-np.arange(steps - at) / (0.2 * steps)))
    y[at:] += harder * (1 + 0.05 * rng.normal(size=steps - at))
    return y


@sound
def harder_by_and_by(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps) / steps
    y = learning(rng, steps, start=1.0)
    return y + rng.uniform(0.5, 4) * np.clip((t - 0.4) / rng.uniform(0.2, 0.5), 0, 1) * (
        1 + 0.05 * rng.normal(size=steps)
    )


@sound
def shift_of_the_data(rng: Rng) -> Array:
    steps = length(rng)
    at = int(steps * rng.uniform(0.2, 0.8))
    level = np.where(np.arange(steps) < at, 0.05, 0.6)
    return level * (1 + rng.uniform(0.02, 0.3) * rng.normal(size=steps))


@sound
def shift_after_learning(rng: Rng) -> Array:
    steps = length(rng)
    at = int(steps * rng.uniform(0.3, 0.8))
    y = learning(rng, steps, end=0.05)
    y[at:] = 0.6 * (1 + 0.1 * rng.normal(size=steps - at))
    return y


@sound
def double_descent(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps) / steps
    bump = rng.uniform(0.3, 1.5) * np.exp(-(((t - rng.uniform(0.3, 0.7)) / 0.08) ** 2))
    return 0.3 + 2 * np.exp(-8 * t) + bump + 0.05 * rng.normal(size=steps)


@sound
def double_descent_in_epochs(rng: Rng) -> Array:
    steps = length(rng, 300)
    t = np.arange(steps) / steps
    bump = rng.uniform(0.5, 2.2) / (1 + ((t - 0.35) / 0.1) ** 2)
    return (0.2 + 2.1 * np.exp(-15 * t) + bump) * (1 + 0.1 * rng.normal(size=steps))


@sound
def restarts_of_the_LR(rng: Rng) -> Array:  # noqa: N802 - the field's name
    steps, cycles = length(rng, 300), int(rng.integers(2, 6))
    phase = (np.arange(steps) % (steps // cycles)) / (steps // cycles)
    y = 0.4 + 1.9 * np.exp(-np.arange(steps) * 12 / steps) + 0.6 * np.cos(np.pi * phase / 2) ** 2
    return y * (1 + 0.05 * rng.normal(size=steps))


@sound
def reinforcement_learning(rng: Rng) -> Array:
    steps = length(rng)
    t = np.arange(steps) / steps
    return rng.uniform(0.5, 3) * t * (1 + np.sin(20 * t)) + rng.uniform(0.1, 1) * rng.normal(size=steps)


@sound
def memorised_but_for_some(rng: Rng) -> Array:
    steps = length(rng)
    y = learning(rng, steps, end=1e-6, noise=0.3)
    y[rng.random(steps) < 0.3 * np.arange(steps) / steps] += rng.uniform(0.1, 1)
    return y


@sound
def sparse_hinge(rng: Rng) -> Array:
    steps = length(rng)
    return np.maximum(0, 1 - 3 * np.arange(steps) / steps + rng.normal(size=steps))


@sound
def contrastive_with_a_growing_batch(rng: Rng) -> Array:
    steps = length(rng, 200)
    batch = 2.0 ** (5 + np.arange(steps) * 4 // steps)
    return np.log(batch) * (0.3 + 0.7 * np.exp(-6 * np.arange(steps) / steps)) + 0.05 * rng.normal(size=steps)


@sound
def diffusion(rng: Rng) -> Array:
    steps = length(rng)
    return (0.03 + np.exp(-20 * np.arange(steps) / steps)) * np.exp(0.7 * rng.normal(size=steps))


@sound
def stairs_of_curricula(rng: Rng) -> Array:
    steps, stairs = length(rng, 200), int(rng.integers(3, 7))
    stair = np.arange(steps) * stairs // steps
    t = np.arange(steps) % (steps // stairs) / (steps // stairs)
    return (0.3 + 0.4 * stair) * (1 + 0.6 * np.exp(-6 * t)) * (1 + 0.05 * rng.normal(size=steps))


@sound
def KL_that_is_annealed(rng: Rng) -> Array:  # noqa: N802 - the field's name
    steps = length(rng)
    t = np.arange(steps) / steps
    weight = np.clip((t - 0.2) / 0.5, 0, 1)
    return 0.3 + 1.5 * np.exp(-15 * t) + rng.uniform(0.5, 3) * weight + 0.05 * rng.normal(size=steps)


@sound
def label_noise_that_sets_in(rng: Rng) -> Array:
    steps = length(rng)
    y = learning(rng, steps, end=0.1)
    at = int(steps * rng.uniform(0.3, 0.7))
    y[at:] = rng.uniform(0.8, 1.6) * (1 + 0.1 * rng.normal(size=steps - at))
    return y


@sound
def dropout_sets_in(rng: Rng) -> Array:
    steps = length(rng)
    y = learning(rng, steps)
    y[steps // 2 :] *= rng.uniform(1.2, 1.5)
    return y


@sound
def bimodal_batches(rng: Rng) -> Array:
    steps = length(rng)
    y = learning(rng, steps)
    y[rng.random(steps) < 0.5] *= rng.uniform(2, 12)
    return y


@sound
def two_tasks_in_turn(rng: Rng) -> Array:
    steps = length(rng)
    y = learning(rng, steps, start=1.0)
    y[::2] += rng.uniform(3, 20)
    return y


@sound
def grokking(rng: Rng) -> Array:
    steps = length(rng, 200)
    y = learning(rng, steps, start=4.5, end=0.001, noise=0.1)
    slingshots = np.zeros(steps)
    for at in rng.integers(steps // 4, steps, size=4):
        slingshots[at:] += rng.uniform(0.1, 3) * np.exp(-np.arange(steps - at) / 5)
    return y + slingshots
