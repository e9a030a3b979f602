"""Decay shapes that several schedules share, exact at both ends and precise near the end."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lrtool.schedules.curve import Array


def remaining(d: Array, length: int) -> Array:
    """What is left of `length` updates at local step d: 1 … 0; 1 where there is no update at all.

    Computed from the end, so it is precise where it is small.
    """
    return (max(length, 1) - d) / max(length, 1)


def above(low: float | Array, share: Array) -> Array:
    """`low` plus a share of the way from `low` to the peak; exact at share 0 and 1."""
    return low + (1 - low) * share


def cosine(left: Array) -> Array:
    """Half a cosine: (1 + cos(π·(1 − left)))/2 = sin²(π/2·left)."""
    out: Array = np.sin(math.pi / 2 * left) ** 2
    return out


def one_minus_sqrt(left: Array) -> Array:
    """1 − √x with x = 1 − left."""
    out: Array = left / (1 + np.sqrt(1 - left))
    return out


def one_minus_square(left: Array) -> Array:
    """1 − x² with x = 1 − left."""
    return left * (2 - left)


def mirrored_cosine(left: Array) -> Array:
    """A half cosine turned about the straight line: fast at both ends, slow in the middle."""
    return 2 * left - cosine(left)


def one_minus_power(left: Array, power: float) -> Array:
    """1 − x^p with x = 1 − left."""
    out: Array = 1 - np.power(1 - left, power)
    return out


def linear(left: Array) -> Array:
    """Straight down."""
    return left


#: Shares of the way from the final value to the peak, by name; `left` runs from 1 to 0.
DECAYS: dict[str, Callable[[Array], Array]] = {
    "linear": linear,
    "cosine": cosine,
    "1-sqrt": one_minus_sqrt,
    "1-square": one_minus_square,
    "mirror-cosine": mirrored_cosine,
}
