"""Laws of the best LR over the logs of keys: power laws, power laws that turn flat in a key, and curved ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: How softly a law turns flat: within about this factor (in log LR) of the bend.
_SOFT = 0.25
#: Best LRs lie off a law by about this much (in log LR) where nothing is known; it counts as so many cells.
_SCATTER, _BEFOREHAND = 0.12, 3.0
_LEAST_SCATTER = 0.02
#: A best LR this many standard deviations off a law counts half as much as its square says.
_ROBUST = 1.5
#: Standard deviation of an exponent of which nothing is known.
_EXPONENT = 1.0
#: How much less the corrected Akaike criterion of a law with a bend must be: what the data support, no more.
_SUPPORT = 4.0
#: A law may turn flat in a key that was measured at so many values.
_LEVELS = 4
#: Standard deviation of what exponents may come to be beyond the measured range.
_DRIFT = 0.1

#: What is known of exponents beforehand: their mean and standard deviation by key.
Expected = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Law:
    """log(best LR) over log keys k, less their `centre`.

    power: p(k) = c₀ + Σ eⱼ·kⱼ · `flat_in` key i: a soft minimum, or maximum, of p and a power law q without kᵢ, so that
    the LR moves with key i up to a bend, and no more beyond · `curved_in` key i: p(k) + c·kᵢ².
    """

    keys: tuple[str, ...]
    centre: Array
    coefficients: Array
    flat_in: int | None = None
    curved_in: int | None = None
    sign: float = 1.0

    def at(self, logs: Array) -> Array:
        """The log LR at log keys (…, keys)."""
        k = np.asarray(logs) - self.centre
        own = self.coefficients[0] + k @ self.exponents
        if self.curved_in is not None:
            return np.asarray(own + self.coefficients[-1] * k[..., self.curved_in] ** 2)
        if self.flat_in is None:
            return np.asarray(own)
        other = self._flat(k)
        return np.asarray(-self.sign * _SOFT * np.logaddexp(-self.sign * own / _SOFT, -self.sign * other / _SOFT))

    def gradient(self, logs: Array) -> Array:
        """The derivatives of `at` by the coefficients, (…, coefficients)."""
        k = np.asarray(logs) - self.centre
        own = np.concatenate([np.ones((*k.shape[:-1], 1)), k], axis=-1)
        if self.curved_in is not None:
            return np.asarray(np.concatenate([own, k[..., [self.curved_in]] ** 2], axis=-1))
        if self.flat_in is None:
            return own
        gap = self.sign * (self.coefficients[0] + k @ self.exponents - self._flat(k)) / _SOFT
        part = 1 / (1 + np.exp(np.clip(gap, -700, 700)))[..., None]
        return np.concatenate([part * own, (1 - part) * np.delete(own, 1 + self.flat_in, axis=-1)], axis=-1)

    @property
    def exponents(self) -> Array:
        """Those of the keys, below the bend where there is one."""
        return self.coefficients[1 : 1 + len(self.keys)]

    @property
    def exponents_beyond(self) -> Array:
        """Those of the keys beyond the bend."""
        assert self.flat_in is not None
        return np.insert(self.coefficients[2 + len(self.keys) :], self.flat_in, 0.0)

    def bend(self, logs: Array) -> float:
        """The value of the key at which the law turns flat, at these values of the others."""
        assert self.flat_in is not None
        k = np.array(logs - self.centre)
        k[self.flat_in] = 0.0
        gap = float(self._flat(k) - self.coefficients[0] - k @ self.exponents)
        slope = float(self.exponents[self.flat_in])
        return math.exp(min(700.0, gap / slope + self.centre[self.flat_in])) if slope else math.inf

    def _flat(self, k: Array) -> Array:
        return np.asarray(self.coefficients[1 + len(self.keys)] + k @ self.exponents_beyond)


@dataclass(frozen=True)
class FittedLaw:
    """A law with the covariance of its coefficients, the `scatter` of best LRs about it, and its degrees of freedom.

    `known`: the part of the covariance that stems from what was known beforehand, not from what was measured. `low`,
    `high` (keys,): the range that was measured.
    """

    law: Law
    covariance: Array
    known: Array
    scatter: float
    spare: float
    criterion: float
    low: Array
    high: Array

    def predict(self, logs: Array) -> tuple[float, float]:
        """The log of the best LR at log keys, and the half width of its 95% interval.

        t·√(variance of the law + scatter² + (0.1·log distance beyond the range)²), t of Student's. Its degrees of
        freedom are those of the scatter, times (whole variance/the part that grows with the scatter)²: what is known
        beforehand has no error of its own (Welch & Satterthwaite 1946).
        """
        slope = self.law.gradient(logs)
        beyond = np.maximum(0, np.maximum(logs - self.high, self.low - logs))
        known = float(slope @ self.known @ slope + np.square(_DRIFT * beyond).sum())
        found = float(slope @ (self.covariance - self.known) @ slope) + self.scatter**2
        return float(self.law.at(logs)), self._half(found, known)

    def exponent(self, key: int, beyond: bool = False) -> tuple[float, float]:
        """A key's exponent and the half width of its 95% interval; `beyond`: past the bend."""
        keys = len(self.law.keys)
        place = 1 + key
        if beyond:
            assert self.law.flat_in is not None
            place = 2 + keys + key - (key > self.law.flat_in)
        known = float(self.known[place, place])
        return float(self.law.coefficients[place]), self._half(float(self.covariance[place, place]) - known, known)

    def _half(self, found: float, known: float) -> float:
        """Half of a 95% interval, of a variance that grows with the scatter and one that is known."""
        from scipy import special

        found = max(found, 1e-9 * known, 1e-300)
        t = special.stdtrit(min(1e9, self.spare * ((found + known) / found) ** 2), 0.975)
        return float(t * math.sqrt(found + known))


def fit_law(keys: Sequence[str], at: Array, x: Array, error: Array, expected: Expected | None = None) -> FittedLaw:
    """The law through best LRs `x` (cells,) at log keys `at` (cells, keys), each known within `error`.

    A power law, unless one that turns flat in a key is supported clearly better by the corrected Akaike criterion, or
    one that is curved better still.
    """
    fits = [_fit(law, at, x, error, expected or {}) for law in _power(keys, at)]
    best = fits[0]
    for law_of in (_flat, _curved):
        found = [_fit(law, at, x, error, expected or {}) for law in law_of(keys, at, x)]
        better = min(found, key=lambda fit: fit.criterion, default=best)
        best = better if better.criterion < best.criterion - _SUPPORT else best
    return best


def _power(keys: Sequence[str], at: Array) -> list[Law]:
    return [Law(tuple(keys), at.mean(axis=0), np.zeros(1 + len(keys)))]


def _flat(keys: Sequence[str], at: Array, x: Array) -> Iterator[Law]:
    """Laws that turn flat in one key, begun at several cells of the bend; a minimum rises to it, a maximum falls."""
    n, centre = len(keys), at.mean(axis=0)
    whole = np.c_[np.ones(len(x)), at - centre]
    for key in range(n):
        values = np.unique(np.round(at[:, key], 6))
        if len(values) < _LEVELS or len(x) < 2 * n + 4:
            continue
        for bend, sign in product(np.quantile(values, [0.35, 0.65]), (1.0, -1.0)):
            low = at[:, key] <= bend
            flat = _lstsq(np.delete(whole[~low], 1 + key, axis=1), x[~low])
            yield Law(tuple(keys), centre, np.r_[_lstsq(whole[low], x[low]), flat], flat_in=key, sign=sign)


def _curved(keys: Sequence[str], at: Array, x: Array) -> Iterator[Law]:
    n = len(keys)
    for key in range(n):
        if len(np.unique(np.round(at[:, key], 6))) >= _LEVELS and len(x) >= n + 3:
            yield Law(tuple(keys), at.mean(axis=0), np.zeros(2 + n), curved_in=key)


def _fit(law: Law, at: Array, x: Array, error: Array, expected: Expected) -> FittedLaw:
    """Robust weighted least squares; what cells scatter beyond their errors is found with it.

    scatter² = (3·0.12² + (n − p)·s²)/(3 + n − p), with s² what the n cells with p coefficients show: few cells say
    little of it.
    """
    from scipy.optimize import least_squares

    n, p = len(x), len(law.coefficients)
    prior = _prior(law, expected)
    scatter, cost, found = _SCATTER, 0.0, None
    start = law.coefficients
    if law.flat_in is None:
        start = np.r_[x.mean(), np.zeros(p - 1)]
    for _ in range(4):
        weight = 1 / np.hypot(error, scatter)
        misfit, slopes = _misfit(law, at, x, weight, prior)
        found = least_squares(misfit, start, slopes, loss=_loss(n), ftol=1e-6, xtol=1e-6, gtol=1e-6, max_nfev=80)
        start = found.x
        rest = _with(law, start).at(at) - x
        spare = max(0, n - p)
        shown = _shown(rest, error, spare)
        scatter = max(_LEAST_SCATTER, math.sqrt((_BEFOREHAND * _SCATTER**2 + spare * shown**2) / (_BEFOREHAND + spare)))
        variance = error**2 + scatter**2
        cost = float((_bounded(rest**2 / variance) + np.log(variance)).sum())
    assert found is not None
    penalty = 2 * p * n / (n - p - 1) if n > p + 1 else math.inf
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    known = covariance * prior[1] ** 2 @ covariance
    return FittedLaw(_with(law, start), covariance, known, scatter, _BEFOREHAND + max(0, n - p), cost + penalty,
                     at.min(axis=0), at.max(axis=0))  # fmt: skip


def _misfit(
    law: Law, at: Array, x: Array, weight: Array, prior: tuple[Array, Array]
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """What the coefficients miss, in standard deviations, and its derivatives."""
    mean, precision = prior

    def misfit(coefficients: Array) -> Array:
        return np.asarray(np.r_[(_with(law, coefficients).at(at) - x) * weight, (coefficients - mean) * precision])

    def slopes(coefficients: Array) -> Array:
        return np.asarray(np.r_[_with(law, coefficients).gradient(at) * weight[:, None], np.diag(precision)])

    return misfit, slopes


def _loss(cells: int) -> Callable[[Array], Array]:
    """Robust for what was measured, plain for what is known beforehand."""

    def rho(z: Array) -> Array:
        soft = _ROBUST**2
        values = np.array([z, np.ones_like(z), np.zeros_like(z)])
        own = z[:cells] / soft
        values[0, :cells] = 2 * soft * (np.sqrt(1 + own) - 1)
        values[1, :cells] = (1 + own) ** -0.5
        values[2, :cells] = -0.5 * (1 + own) ** -1.5 / soft
        return values

    return rho


def _bounded(squares: Array) -> Array:
    soft = _ROBUST**2
    return np.asarray(2 * soft * (np.sqrt(1 + squares / soft) - 1))


def _shown(rest: Array, error: Array, spare: int) -> float:
    """The scatter that makes residuals, none counted above 9, as large as they should be (Paule & Mandel 1982)."""
    from scipy.optimize import brentq

    def excess(scatter: float) -> float:
        return float(np.minimum(rest**2 / (error**2 + scatter**2), 9.0).sum()) - spare

    if spare == 0 or excess(1e-6) <= 0:
        return 0.0
    return float(brentq(excess, 1e-6, 50.0)) if excess(50.0) < 0 else 50.0


def _prior(law: Law, expected: Expected) -> tuple[Array, Array]:
    """Mean and precision (1/standard deviation) of each coefficient; levels are free."""
    mean, deviation = np.zeros(len(law.coefficients)), np.full(len(law.coefficients), np.inf)
    named = list(law.keys)
    mean[1 : 1 + len(named)], deviation[1 : 1 + len(named)] = zip(*(expected.get(k, (0.0, _EXPONENT)) for k in named),
                                                                  strict=True)  # fmt: skip
    if law.flat_in is not None:
        del named[law.flat_in]
        if named:
            mean[-len(named) :], deviation[-len(named) :] = zip(*(expected.get(k, (0.0, _EXPONENT)) for k in named),
                                                                strict=True)  # fmt: skip
    if law.curved_in is not None:
        deviation[-1] = _EXPONENT
    return mean, 1 / deviation


def _with(law: Law, coefficients: Array) -> Law:
    return Law(law.keys, law.centre, coefficients, law.flat_in, law.curved_in, law.sign)


def _lstsq(matrix: Array, x: Array) -> Array:
    return np.asarray(np.linalg.lstsq(matrix, x, rcond=None)[0])
