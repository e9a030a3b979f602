"""What `summary.json` says of a transfer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lrtool.analysis.search.transfer.extrapolate import Transferred
from lrtool.analysis.search.transfer.law import FittedLaw
from lrtool.report.transfer.words import answer, details, law_text


def summarise(found: Transferred) -> dict[str, Any]:
    """The entries of `summary.json`: the answer, the law, its tests, and the best LR of every cell."""
    return {
        "suggested_lr": found.lr,
        "interval": found.interval and list(found.interval),
        "lower_lr": found.alike and found.alike[0],
        "upper_lr": found.alike and found.alike[1],
        "methods": rules(found),
        "answer": answer(found),
        "details": list(details(found)),
        "target": dict(found.target),
        "interpolated": found.lr is not None and not found.beyond,
        "beyond": list(found.beyond),
        "reach": dict(found.reach),
        "expected_loss": found.loss and math.sqrt(found.loss[0] * found.loss[1]),
        "expected_loss_interval": found.loss and list(found.loss),
        "expected_excess": found.excess,
        "expected_risk": found.risk,
        "guess": found.guess
        and {"lr": found.guess.lr, "interval": list(found.guess.interval), "expected_risk": found.guess.risk},
        "enough_budget": found.enough if found.enough is not None and math.isfinite(found.enough) else None,
        "expected_exponents": {key: list(each) for key, each in found.expected.items()},
        "assumed": list(found.assumed),
        "passes": found.passes and list(found.passes),
        "law": found.law and _law(found.law, found),
        "self_test": [
            {
                "key": test.key,
                "value": test.value,
                "predicted_lr": test.predicted.tolist(),
                "measured_lr": test.measured.tolist(),
                "passed": test.passed,
            }
            for test in found.tests
        ],
        "cells": _cells(found),
        "points": len(found.points.lr),
    }


def rules(found: Transferred) -> dict[str, Any]:
    """What rules that people use say, from the best LR of the measured cell that is nearest to the target."""
    optima = found.optima
    if optima is None or found.law is None:
        return {}
    logs = np.log([found.target[key] for key in found.keys])
    nearest = int(np.argmin(np.abs(optima.at - logs).sum(axis=1)))
    same, says = float(np.exp(optima.x[nearest])), {}
    says["same"] = {"lr": same}
    for place, key in enumerate(found.keys):
        if "batch" in key:
            times = float(np.exp(logs[place] - optima.at[nearest, place]))
            says |= {"sqrt_batch": {"lr": same * math.sqrt(times)}, "linear_batch": {"lr": same * times}}
    return says


def _law(law: FittedLaw, found: Transferred) -> dict[str, Any]:
    own, keys = law.law, law.law.keys
    logs = np.log([found.target[key] for key in keys])
    said: dict[str, Any] = {
        "text": law_text(law, logs),
        "kind": "power" if own.flat_in is None and own.curved_in is None else "saturating" if own.curved_in is None
        else "curved",
        "exponents": {key: _exponent(law, place) for place, key in enumerate(keys)},
        "scatter": law.scatter,
    }  # fmt: skip
    if own.flat_in is not None:
        said["flat_in"] = keys[own.flat_in]
        said["bend"] = own.bend(logs)
        said["exponents_flat"] = {
            key: _exponent(law, place, flat=True) for place, key in enumerate(keys) if place != own.flat_in
        }
    return said


def _exponent(law: FittedLaw, place: int, flat: bool = False) -> dict[str, Any]:
    value, half = law.exponent(place, flat)
    return {"value": value, "interval": [value - half, value + half]}


def _measured(found: Transferred, key: str, log: float) -> float:
    """The value of a key as it was given: logs are rounded."""
    values = found.points.of(key)
    return float(values[np.abs(np.log(values) - log).argmin()])


def _cells(found: Transferred) -> list[dict[str, Any]]:
    optima = found.optima
    if optima is None:
        return []
    return [
        {
            **{key: _measured(found, key, float(value)) for key, value in zip(found.keys, at, strict=True)},
            "best_lr": float(np.exp(x)),
            "factor": float(np.exp(error)),
            "at_edge": bool(edge),
        }
        for at, x, error, edge in zip(optima.at, optima.x, optima.error, optima.edge, strict=True)
    ]
