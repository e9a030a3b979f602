"""Variants: outcomes grouped by the settings that are compared."""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.statistics.comparison import Statistic
from lrtool.comparison.comparability import LR, differing_keys, known_keys, require_comparable, shown_setting
from lrtool.comparison.outcomes import Outcome, as_text
from lrtool.errors import UsageError
from lrtool.printable import one_line

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """One of the variants that are compared: the outcomes of a name by seed, all with the same settings.

    `chosen`: the settings that were picked as the best of `tried` combinations; of one, only its LR, if LRs differ.
    """

    name: str
    outcomes: Mapping[int, Outcome]
    chosen: Mapping[str, Any] = field(default_factory=dict)
    tried: int = 1

    def values(self, metric: str) -> dict[int, float]:
        """The metric's final value by seed, NaN where the seed diverged."""
        return {seed: metric_value(outcome, metric) for seed, outcome in self.outcomes.items()}

    def reached(self, target: float, loss: str = "val_loss") -> dict[int, tuple[float, float] | None]:
        """Updates and seconds until a loss was first at most `target`, by seed; None where it never was."""
        return {seed: _reached(outcome, target, loss) for seed, outcome in self.outcomes.items()}


def metric_value(outcome: Outcome, metric: str) -> float:
    """The final value of a metric, NaN where the trial diverged or has none."""
    return math.nan if outcome.diverged else outcome.values.get(metric, math.nan)


def compared_loss(outcomes: Sequence[Outcome], metric: str) -> str:
    """The loss whose curves are held side by side: the validation loss, unless `metric` is the training loss.

    Where a run that finished was never validated it is the training loss of all, for the two do not compare.
    """
    finished = [outcome for outcome in outcomes if not outcome.diverged] or list(outcomes)
    validated = all(len(loss_curve(outcome, "val_loss")[1]) for outcome in finished)
    return "val_loss" if validated and metric != "train_loss" else "train_loss"


def loss_curve(outcome: Outcome, loss: str) -> tuple[Array, Array]:
    """Updates and the loss after them, where it was measured and is finite."""
    values = outcome.curve.get(loss, np.empty(0))
    known = np.isfinite(values)
    return outcome.curve.get("step", np.empty(0))[: len(known)][known], values[known]


def usual_target(variants: Sequence[Variant], loss: str = "val_loss") -> float | None:
    """A loss that half of the variants reach with every seed: the median of what each reaches so."""
    curves = [
        [loss_curve(outcome, loss)[1] for outcome in variant.outcomes.values()]
        for variant in variants
        if not any(outcome.diverged for outcome in variant.outcomes.values())
    ]
    lowest = [float(max(curve.min() for curve in each)) for each in curves if all(map(len, each))]
    if not lowest:
        return None
    # Rounded up, so that the number shown is the number used and the variant that set it reaches it.
    middle = sorted(lowest)[len(lowest) // 2]
    digits = 2 - math.floor(math.log10(abs(middle))) if middle else 0
    return float(round(math.ceil(middle * 10**digits) / 10**digits, max(digits, 0)))


def _reached(outcome: Outcome, target: float, loss: str) -> tuple[float, float] | None:
    step, values = loss_curve(outcome, loss)
    below = np.flatnonzero(values <= target)
    if not below.size:
        return None
    at = float(step[below[0]])
    seconds = outcome.curve.get("seconds")
    row = np.flatnonzero(outcome.curve["step"] == at)[0]
    return at, float(seconds[row]) if seconds is not None else math.nan


#: Words in the names of metrics of which more is better, and of which less is: for runs that do not say.
_HIGHER = ("accuracy", "acc", "f1", "auc", "precision", "recall", "r2", "score", "bleu")
_LOWER = ("loss", "mse", "mae", "rmse", "error", "perplexity")


def chosen_metric(outcomes: Sequence[Outcome], wanted: str | None, direction: str | None) -> tuple[str, bool]:
    """The metric to compare by and whether more of it is better; unsaid, the validation loss or else the training loss.

    Raises UsageError where a run that did not diverge lacks it, or its direction cannot be known.
    """
    finished = [outcome for outcome in outcomes if not outcome.diverged] or list(outcomes)
    known = sorted({name for outcome in finished for name in outcome.values})
    name = wanted or ("val_loss" if any("val_loss" in each.values for each in finished) else "train_loss")
    if name not in known and f"val_{name}" in known:
        name = f"val_{name}"
    lacking = next((outcome for outcome in finished if name not in outcome.values), None)
    if lacking is not None:
        shared = [each for each in known if all(each in outcome.values for outcome in finished)]
        raise UsageError(
            f"{lacking.source} has no {name}, so these runs cannot be compared by it", where="--metric",
            remedy=f"every run has: {', '.join(shared) or 'nothing in common'}",
        )  # fmt: skip
    if direction is not None:
        return name, direction == "higher"
    higher = _said(name, finished)
    return name, _guessed(name) if higher is None else higher


def _said(name: str, outcomes: Sequence[Outcome]) -> bool | None:
    """What the runs say of a metric: whether more of it is better; None where none does, UsageError if they differ."""
    said = {each.higher_is_better[name] for each in outcomes if name in each.higher_is_better}
    if len(said) > 1:
        raise UsageError(
            f"some of these runs say that more {name} is better, others that less is", where="--metric",
            remedy="write --direction higher or --direction lower",
        )  # fmt: skip
    return next(iter(said), None)


def _guessed(name: str) -> bool:
    """Whether more of a metric is better, by the words in its name; UsageError where they do not tell."""
    words = set(name.removeprefix("val_").lower().split("_"))
    if not words & {*_HIGHER, *_LOWER}:
        raise UsageError(
            f"whether more or less {name} is better is not known", where="--metric",
            remedy="write --direction higher or --direction lower",
        )  # fmt: skip
    return not words & set(_LOWER)


#: Metrics that lie in [0, 1].
_BOUNDED = ("accuracy", "acc", "f1", "auc", "precision", "recall")


def is_bounded(metric: str, values: Iterable[float]) -> bool:
    """Whether a metric lies in [0, 1], as accuracies do: by its name, and by its values (one in percent does not)."""
    words = set(metric.removeprefix("val_").lower().split("_"))
    return bool(words & {*_BOUNDED}) and all(0 <= value <= 1 for value in values if math.isfinite(value))


def variants(
    outcomes: Sequence[Outcome],
    metric: str,
    higher_is_better: bool,
    by: Sequence[str] = (),
    statistic: Statistic = "mean",
) -> tuple[list[Variant], list[str]]:
    """Group outcomes into variants by the keys `by`, and what a reader should know about it.

    Unsaid, these are a sweep's named variants or else the keys that differ, the LR only where nothing else does: each
    variant is shown at its own best LR. Where the outcomes of a variant differ in other keys, the combination with the
    best mean (or median) over seeds is taken. Raises UsageError where a key is in no config or the outcomes are
    incomparable.
    """
    differing = differing_keys(outcomes)
    keys, others = variant_keys(outcomes, differing, by)
    require_comparable(outcomes, differing, keys)
    groups: dict[str, dict[str, dict[int, Outcome]]] = {}
    repeated = 0
    for outcome in outcomes:
        combinations = groups.setdefault(label(outcome, keys), {})
        seeds = combinations.setdefault(as_text([outcome.flat.get(key) for key in others]), {})
        repeated += outcome.seed in seeds
        seeds[outcome.seed] = outcome
    notes = [f"{repeated} runs repeat another's settings and seed; the one given last counts"] if repeated else []
    found = [
        _best(name, list(each.values()), others, metric, higher_is_better, statistic) for name, each in groups.items()
    ]
    most = max(variant.tried for variant in found)
    if most > 1:
        notes.append(
            f"each variant stands at its best of up to {most} settings of {', '.join(others)},"
            f" picked by the same seeds, so its {statistic} looks a little better than it is"
        )
    return found, notes


def variant_keys(
    outcomes: Sequence[Outcome], differing: Sequence[str], by: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The keys that make variants, and the others that differ; UsageError where a key of `by` is in no config."""
    keys = _wanted(outcomes, list(differing), by)
    return keys, [key for key in differing if not any(key == each or key.startswith(f"{each}.") for each in keys)]


def _best(
    name: str,
    tried: list[dict[int, Outcome]],
    others: Sequence[str],
    metric: str,
    higher_is_better: bool,
    statistic: Statistic,
) -> Variant:
    def rank(outcomes: Mapping[int, Outcome]) -> tuple[int, int, float]:
        values = [metric_value(outcome, metric) for outcome in outcomes.values()]
        finite = [value for value in values if math.isfinite(value)]
        middle = _middle(finite, statistic) if finite else math.inf
        return len(values) - len(finite), -len(values), -middle if higher_is_better and finite else middle

    best = min(tried, key=rank)
    first = next(iter(best.values()))
    # The LR is told even of a variant with only one, as after tuning or pruning.
    chosen = {key: first.flat[key] for key in others if key in first.flat and (len(tried) > 1 or key == LR)}
    return Variant(name, dict(sorted(best.items())), chosen, len(tried))


def _middle(values: Sequence[float], statistic: Statistic) -> float:
    return statistics.median(values) if statistic == "median" else sum(values) / len(values)


def _wanted(outcomes: Sequence[Outcome], differing: list[str], by: Sequence[str]) -> list[str]:
    known = known_keys({id(outcome.flat): outcome.flat for outcome in outcomes}.values())
    for key in by:
        if key not in known and not any(each.startswith(f"{key}.") for each in known):
            near = difflib.get_close_matches(key, known, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"these differ: {', '.join(differing) or 'none'}"
            raise UsageError(f"no run has the key {key!r}", where="--by", remedy=remedy)
    if by:
        return list(by)
    if "variant" in differing:
        return ["variant"]
    return [key for key in differing if key != LR] or differing or ["name"]


def label(outcome: Outcome, keys: Sequence[str]) -> str:
    """What a variant is called: its kind or name bare, any other setting with its key."""
    return ", ".join(
        ("" if key in ("variant", "name") or key.endswith(".kind") else f"{one_line(key)}=")
        + shown_setting(outcome, key)
        for key in keys
    )
