"""The law that predicts best the runs that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lrtool.errors import UsageError
from lrtool.theory.laws import LAWS
from lrtool.theory.laws.fit import Fit, fit_law, left_out
from lrtool.theory.loss_curve import LossCurve

#: Part of a run at its end whose mean is its final loss.
_END = 0.05
#: A law with more parameters is taken where it is this much better.
_BETTER = 0.95


@dataclass(frozen=True)
class HeldOut:
    """How a law that was fitted to the other runs predicts one: errors of the logarithm of the loss.

    `error`: root mean square along the run; `final`: predicted over measured final loss, less 1.
    """

    law: str
    run: str
    error: float
    final: float


@dataclass(frozen=True)
class ChosenLaw:
    """The fit that is used, the others, and what leaving out each run showed (nothing where none could be)."""

    fit: Fit
    others: tuple[Fit, ...]
    held_out: tuple[HeldOut, ...]
    reason: str

    def errors(self) -> dict[str, float | None]:
        """The error of each law on runs left out; None where none could be."""
        return {fit.law.name: _error(self.held_out, fit) for fit in (self.fit, *self.others)}


def choose_law(curves: Sequence[LossCurve], progress: Callable[[str], None] = lambda _: None) -> ChosenLaw:
    """Fit every law, and take the one that predicts each run best from the others.

    Raises UsageError where the runs cannot identify any: fewer than two, all under one schedule, or none with a falling
    LR.
    """
    check_identified(curves)
    fits, held_out = [], []
    for law in LAWS:
        progress(f"fitting the {law.name}")
        fit = fit_law(law, curves)
        fits.append(fit)
        held_out += [held_out_by(other, held) for held, other in left_out(law, curves, fit.logs)]
    errors = [_error(held_out, fit) for fit in fits]
    known = [error for error in errors if error is not None]
    # The simpler law stands first.
    scores = [fit.cost for fit in fits] if len(known) < len(fits) else known
    best = 0
    for place, score in enumerate(scores):
        if score < _BETTER * scores[best]:
            best = place
    reason = "its errors on runs left out are the smallest" if len(known) == len(fits) else "it fits these runs best"
    others = tuple(fit for place, fit in enumerate(fits) if place != best)
    return ChosenLaw(fits[best], others, tuple(held_out), reason)


def held_out_by(fit: Fit, curve: LossCurve) -> HeldOut:
    """How a fit predicts a run that it has not seen."""
    kept = curve.fitted()
    rest = np.log(np.maximum(fit.loss(curve.rates, curve.warmup, kept.steps), 1e-9) / kept.losses)
    end = kept.steps >= min(curve.steps[-1] * (1 - _END), kept.steps[-1])
    final = float(np.expm1(rest[end].mean()))
    return HeldOut(fit.law.name, curve.name, float(np.sqrt(np.mean(rest**2))), final)


def check_identified(curves: Sequence[LossCurve]) -> None:
    """Raise UsageError where no law can be told from these runs."""
    if len(curves) < 2:
        raise UsageError(
            f"a law needs two finished runs under different schedules, better three, but got {len(curves)}",
            remedy="add for example a constant LR and a cosine",
        )
    if all(_alike(curves[0], each) for each in curves[1:]):
        raise UsageError(
            "these runs cannot identify the law: all were trained under the same schedule",
            remedy="add a run under another one, for example a constant LR",
        )
    if not any(each.falls for each in curves):
        raise UsageError(
            "these runs cannot identify the law: none lowers its LR after the warm-up",
            remedy="add a run whose LR falls, for example a cosine",
        )


def _alike(one: LossCurve, other: LossCurve) -> bool:
    if len(one.rates) != len(other.rates):
        return False
    return bool(np.allclose(one.rates, other.rates, rtol=1e-6, atol=1e-9 * float(one.rates.max())))


def _error(held_out: Sequence[HeldOut], fit: Fit) -> float | None:
    found = [each.error for each in held_out if each.law == fit.law.name]
    return float(np.sqrt(np.mean(np.square(found)))) if found else None
