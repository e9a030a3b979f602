"""Fits a law to finished runs, and predicts other ones by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrtool.theory.laws.base import SHARED, LossLaw, Units
from lrtool.theory.loss_curve import Changes, LossCurve, Steps, progress

Array = NDArray[np.float64]

#: Residuals along a run are not independent: its losses tell as much as so many that are.
_INDEPENDENT = 15
#: The logarithm of α before anything is measured, and how far off it may be; and that of L₀, A and B.
_ALPHA, _ALPHA_UNSURE, _ANY = float(np.log(0.5)), 0.7, 10.0
#: Runs differ as wholes by this many times what a run's losses scatter by.
_APART = 2.0
#: Scatter of the logarithms of losses: at first, and between which it is believed.
_FIRST, _LEAST_SCATTER, _MOST_SCATTER = 3e-3, 2e-4, 0.3
#: Residuals count as at most so many times their median, where their scatter is measured.
_OUTLYING = 40.0
#: Starts that are followed to their end, and evaluations at most.
_FOLLOWED, _EVALUATIONS = 3, 120


@dataclass(frozen=True)
class Fit:
    """A law that is fitted to runs.

    `logs`: logarithms of its parameters; `covariance` of these. `scatter`: of the logarithms of a run's losses about
    the law; `apart`: how far runs lie apart as wholes. `used`: the most LR of all runs; `rates`: their least and
    greatest LRs. `cost`: what the fit minimised, per run.
    """

    law: LossLaw
    logs: Array
    covariance: Array
    scale: Units
    scatter: float
    apart: float
    used: float
    rates: tuple[float, float]
    cost: float

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters as the law's source has them."""
        return self.law.published(self.logs, self.scale)

    def loss(self, rates: Array, warmup: int, steps: Steps) -> Array:
        """The loss after each of `steps` updates under these LRs, (n,)."""
        return self.law.loss(self.logs, Changes.of(rates, warmup, steps), self.scale)

    def predicted(self, rates: Array, warmup: int, steps: Steps) -> tuple[Array, Array]:
        """The loss after each of `steps` updates, and the standard error of its logarithm that the parameters make."""
        loss, slopes = self.law.slopes(self.logs, Changes.of(rates, warmup, steps), self.scale)
        relative = slopes / np.maximum(loss, 1e-12)[:, None]
        return loss, np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", relative, self.covariance, relative), 0.0))


@dataclass(frozen=True)
class _Problem:
    """The least squares of a fit: what runs say, with every run and every factor of progress counting the same."""

    law: LossLaw
    scale: Units
    changes: tuple[Changes, ...]
    logs: tuple[Array, ...]
    weights: tuple[Array, ...]

    @classmethod
    def of(cls, law: LossLaw, curves: Sequence[LossCurve]) -> _Problem:
        scale = Units(
            max(float(each.rates[max(each.warmup - 1, 0) :].max()) for each in curves),
            max(float(each.used[-1]) for each in curves),
            float(max(len(each.rates) for each in curves)),
        )
        changes = tuple(Changes.of(each.rates, each.warmup, each.steps) for each in curves)
        points = float(np.mean([len(each.steps) for each in curves]))
        weights = tuple(_weights(progress(each.rates, each.steps), points) for each in curves)
        return cls(law, scale, changes, tuple(np.log(each.losses) for each in curves), weights)

    @property
    def points(self) -> float:
        """Losses of a run, on average."""
        return float(np.mean([len(each) for each in self.logs]))

    def residuals(self, x: Array) -> Array:
        """Logarithms of predicted to measured losses, weighted, each run moved by its own offset."""
        count = len(self.law.parameters)
        found = [self.law.loss(x[:count], each, self.scale) for each in self.changes]
        rows = zip(found, self.logs, self.weights, x[count:], strict=True)
        return np.concatenate([w * (np.log(np.maximum(y, 1e-9)) - log + offset) for y, log, w, offset in rows])

    def jacobian(self, x: Array) -> Array:
        """Their derivatives."""
        count, blocks = len(self.law.parameters), []
        for run, (changes, w) in enumerate(zip(self.changes, self.weights, strict=True)):
            loss, slopes = self.law.slopes(x[:count], changes, self.scale)
            offsets = np.zeros((len(loss), len(self.changes)))
            offsets[:, run] = 1.0
            slopes = np.where(loss[:, None] > 1e-9, slopes / np.maximum(loss, 1e-9)[:, None], 0.0)
            blocks.append(w[:, None] * np.concatenate([slopes, offsets], axis=1))
        return np.concatenate(blocks)

    def starts(self) -> list[Array]:
        """Where fits begin, the nearest first: L₀, A and B are linear, and so best for given exponents."""
        from scipy.optimize import nnls

        weights = np.concatenate([w / np.exp(log) for w, log in zip(self.weights, self.logs, strict=True)])
        losses, found = np.concatenate([np.exp(log) for log in self.logs]), []
        for own in self.law.starts():
            effect = [self.law.effect(own, each, self.scale)[0] @ each.drop / self.scale.rate for each in self.changes]
            for alpha in (0.25, 0.5, 1.0):
                power = np.concatenate([(each.used / self.scale.used) ** -alpha for each in self.changes])
                table = np.stack([np.ones_like(power), power, -np.concatenate(effect)], axis=1)
                linear, rest = nnls(table * weights[:, None], losses * weights)
                linear = np.maximum(linear, 1e-3 * losses.min())
                found.append((rest, np.concatenate([np.log(linear[:2]), [np.log(alpha)], np.log(linear[2:]), own])))
        return [start for _, start in sorted(found, key=lambda each: each[0])]


def _weights(along: Array, points: float) -> Array:
    """Roots of the weights of a run's losses: each factor of progress counts the same, and so does each run."""
    spacing = np.gradient(np.log(along)) if len(along) > 1 else np.ones(1)
    spacing = np.maximum(spacing, 1e-12)
    weights: Array = np.sqrt(spacing / spacing.sum() * points)
    return weights


def fit_law(law: LossLaw, curves: Sequence[LossCurve], begin: Array | None = None) -> Fit:
    """The law's parameters that fit runs best, by a robust loss of the logarithms of the residuals.

    Huber's loss from one scatter on, which is measured; several starts, or the one `begin` (logarithms of parameters).
    What is known of exponents beforehand (they are of the order of 1) weighs as much as `_INDEPENDENT` losses of each
    run let it: parameters that the runs do not tell apart stay near that.
    """
    kept = [each.fitted() for each in curves]
    problem = _Problem.of(law, kept)
    starts = [begin] if begin is not None else problem.starts()[:_FOLLOWED]
    x, scatter = min((_solved(problem, start, _FIRST) for start in starts), key=lambda each: each[0].cost)
    for _ in range(2):
        x, scatter = _solved(problem, x.x[: len(law.parameters)], scatter)
    count = len(law.parameters)
    weight = scatter**2 * problem.points / _INDEPENDENT
    covariance = weight * np.linalg.pinv(x.jac.T @ x.jac, hermitian=True)[:count, :count]
    apart = max(scatter, float(np.sqrt(np.mean(x.x[count:] ** 2))))
    rates = np.concatenate([each.rates[max(each.warmup - 1, 0) :] for each in curves])
    used = max(float(each.used[-1]) for each in curves)
    return Fit(law, x.x[:count], covariance, problem.scale, scatter, apart, used,
               (float(rates.min()), float(rates.max())), float(x.cost) / len(curves))  # fmt: skip


def _solved(problem: _Problem, start: Array, scatter: float) -> tuple[Any, float]:
    """The optimum near a start, and the scatter of the losses about it."""
    from scipy.optimize import least_squares

    law, runs = problem.law, len(problem.changes)
    x = np.concatenate([start, np.zeros(runs)])
    centre, unsure = _expected(law, start, scatter, runs)
    pull = scatter * np.sqrt(problem.points / _INDEPENDENT) / unsure
    with np.errstate(over="ignore", invalid="ignore"):
        found = least_squares(
            lambda x: np.concatenate([problem.residuals(x), (x - centre) * pull]),
            x,
            lambda x: np.concatenate([problem.jacobian(x), np.diag(pull)]),
            loss=_huber(sum(map(len, problem.logs))),
            f_scale=scatter,
            x_scale=unsure.clip(max=3.0),
            max_nfev=_EVALUATIONS,
        )
        rest = problem.residuals(found.x)
    size = np.abs(rest)
    # Single losses far off must not widen it.
    usual = np.minimum(size, _OUTLYING * float(np.median(size)))
    return found, float(np.clip(np.sqrt(np.mean(usual**2)), _LEAST_SCATTER, _MOST_SCATTER))


def _expected(law: LossLaw, start: Array, scatter: float, runs: int) -> tuple[Array, Array]:
    """What parameters and offsets are before anything is measured, and how far off that may be."""
    shared = len(SHARED)
    centre = np.concatenate([start[:shared], law.expected, np.zeros(runs)])
    unsure = np.concatenate([np.full(shared, _ANY), law.unsure, np.full(runs, _APART * scatter)])
    centre[SHARED.index("alpha")], unsure[SHARED.index("alpha")] = _ALPHA, _ALPHA_UNSURE
    return centre, unsure


def _huber(measured: int) -> Callable[[Array], Array]:
    """Huber's loss of the first so many residuals, squares of the rest, as scipy wants it: ρ, ρ′ and ρ″ of squares."""

    def rho(z: Array) -> Array:
        out = np.stack([z, np.ones_like(z), np.zeros_like(z)])
        far = np.flatnonzero(z[:measured] > 1)
        root = np.sqrt(z[far])
        out[0, far], out[1, far], out[2, far] = 2 * root - 1, 1 / root, -0.5 / root**3
        return out

    return rho


def left_out(law: LossLaw, curves: Sequence[LossCurve], begin: Array) -> Iterator[tuple[LossCurve, Fit]]:
    """Each run with the fit to all others; runs whose others never lower the LR, while they do, are left aside."""
    for place, held in enumerate(curves):
        others = [*curves[:place], *curves[place + 1 :]]
        if others and (not held.falls or any(each.falls for each in others)):
            yield held, fit_law(law, others, begin)
