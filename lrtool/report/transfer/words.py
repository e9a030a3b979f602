"""A transfer in words: the law, the answer, and what to know about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer.extrapolate import Transferred
from lrtool.analysis.search.transfer.law import FittedLaw
from lrtool.report.plots.marks import between
from lrtool.report.plots.style import number

Array = NDArray[np.float64]

#: An exponent that is less than this is none.
_NONE = 0.005


def short(key: str) -> str:
    """A key as people call it: the last part of its name.

    >>> short("data.batch_size")
    'batch_size'
    """
    return key.rpartition(".")[2]


def law_text(fitted: FittedLaw, logs: Array) -> str:
    """The law in words, the bend as it is at log keys `logs`."""
    law = fitted.law
    names = [short(key) for key in law.keys]
    own = _powers(names, law.exponents)
    if law.curved_in is not None:
        name = names[law.curved_in]
        return f"best LR ∝ {own} in the middle of what was measured, with an exponent that moves with {name}"
    if law.flat_in is None:
        return f"best LR ∝ {own}" if own else "best LR the same everywhere"
    name, bend = names[law.flat_in], number(law.bend(logs))
    others = [place for place in range(len(names)) if place != law.flat_in]
    flat = _powers([names[place] for place in others], law.exponents_beyond[others])
    # A rising law below its bend is the smaller of the two; so is a falling one above it.
    below = (law.exponents[law.flat_in] > 0) == (law.sign > 0)
    rest = f"flat in {name}" if len(names) > 1 else "flat"
    rest += f" (∝ {flat})" if flat else ""
    if below:
        return f"best LR ∝ {own} up to {name} of about {bend}, {rest} beyond"
    return f"best LR {rest} up to {name} of about {bend}, ∝ {own} beyond"


def _powers(names: Sequence[str], exponents: Sequence[float] | Array) -> str:
    return " · ".join(
        f"{name}^{value:.2f}" for name, value in zip(names, exponents, strict=True) if abs(value) >= _NONE
    )


def _all_the_same(found: Transferred) -> Iterator[str]:
    """What can be said where there is no answer: the best guess, and what would be enough for one."""
    if found.guess is not None:
        risk = found.guess.risk
        costs = "" if risk is None else f"; expected to cost {risk:.0%} of the loss"
        yield f"best guess all the same: LR {number(found.guess.lr)} ({between(found.guess.interval)}{costs})"
    if found.enough is None:
        return
    if np.isfinite(found.enough):
        yield f"an answer is expected from --budget {found.enough:.2g}x on"
    else:
        yield (
            "no budget that is less than `lrtool tune` needs for the target itself is expected to be enough: tune it,"
            " or ask for a smaller target"
        )


def target_text(target: Mapping[str, float], keys: Sequence[str]) -> str:
    """The target's values of these keys."""
    return ", ".join(f"{short(key)} {number(target[key])}" for key in keys)


def answer(found: Transferred) -> str:
    """The result in one sentence."""
    at = target_text(found.target, found.keys or found.points.keys)
    if found.lr is None or found.interval is None:
        return f"no LR can be named{f' for {at}' if at else ''}: {found.reason}"
    how = "extrapolated" if found.beyond else "interpolated"
    return f"LR {number(found.lr)} (95% interval {between(found.interval)}){f' for {at}' if at else ''}, {how}"


def details(found: Transferred) -> Iterator[str]:
    """What stands below the answer: the law, its test, the loss, how far one may go."""
    if found.law is not None:
        logs = np.log([found.target[key] for key in found.keys])
        yield f"law: {law_text(found.law, logs)}"
        parts = []
        for place, key in enumerate(found.law.law.keys):
            value, half = found.law.exponent(place)
            parts.append(f"{short(key)} {value:.2f} ± {half:.2f}")
        yield f"exponents (95%): {', '.join(parts)}; best LRs scatter by {100 * np.expm1(found.law.scatter):.0f}%"
    for key in found.assumed:
        mean, deviation = found.expected[key]
        yield (
            f"{short(key)} was measured at too few values to show how it moves the best LR: the exponent that is usual"
            f" ({mean:.2f} ± {2 * deviation:.2f}) stands in, and the interval is as wide as that makes it"
        )
    for test in found.tests:
        held, said = int(test.held.sum()), "passed" if test.passed else "failed"
        yield (
            f"self-test {said}: {short(test.key)} {number(test.value)} predicted from the others, {held} of"
            f" {len(test.held)} inside the interval, off by ×{test.off:.2f}"
        )
    if found.lr is None:
        yield from _all_the_same(found)
        return
    if found.loss is not None:
        worse = f"; within the LR's interval at most {100 * found.excess:.2g}% above its best" if found.excess else ""
        yield f"loss to expect: {between(found.loss)}{worse}"
    if found.risk is not None:
        yield f"expected to cost {100 * found.risk:.2g}% of the loss, as the best LR may lie anywhere in the interval"
    if found.beyond:
        for key, value in found.reach.items():
            useful = f"; useful up to about {number(value)}" if found.limited(key) else ""
            yield f"{short(key)} lies beyond what was measured: widened{useful}"
    elif found.keys:
        yield "the target lies inside what was measured: interpolated"
