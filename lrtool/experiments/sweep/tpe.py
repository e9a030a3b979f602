"""Samples that Optuna's tree-structured Parzen estimator draws near what did well (Bergstra et al. 2011)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lrtool.config.sweep.combinations import Combination
from lrtool.config.sweep.schema import Assignments, Range, SweepConfig
from lrtool.errors import MissingExtraError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

#: A combination, given what to set each of its keys that are drawn to.
Settled = Callable[[Callable[[str], Any]], Combination]


@dataclass(frozen=True)
class Known:
    """A sample that was trained, or is in training, and how it did.

    `loss`: the mean over its seeds if all have finished. `reached`: the last rung that it got through, and its loss
    there, where it was pruned or waits. Neither where a trial diverged or failed: worse than all others.
    """

    settings: Assignments
    loss: float | None = None
    reached: tuple[int, float] | None = None


def require_optuna() -> None:
    """Raise MissingExtraError where Optuna is not installed."""
    if find_spec("optuna") is None:
        raise MissingExtraError("optuna", extra="optuna", where="sampler")


def next_samples(sweep: SweepConfig, settled: Settled, known: Sequence[Known], count: int) -> list[Combination]:
    """So many further samples of a cell, given those before; the same again for the same.

    Define-by-run: `settled` asks for the value of one key after the other, and not for those that do not apply.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Without the constant liar the samples of one batch would lie on each other.
    sampler = optuna.samplers.TPESampler(
        seed=sweep.sample_seed + len(known), constant_liar=True, n_startup_trials=sweep.batch
    )
    study = optuna.create_study(sampler=sampler)
    space = {key: _distribution(values) for key, values in sweep.random.items()}
    for sample in known:
        study.add_trial(_told(sweep, space, sample))
    return [settled(_asked(sweep, study)) for _ in range(count)]


def _told(sweep: SweepConfig, space: dict[str, BaseDistribution], sample: Known) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    own = {key: values for key, values in sweep.random.items() if key in sample.settings}
    return create_trial(
        state=TrialState.PRUNED if sample.loss is None else TrialState.COMPLETE,
        value=sample.loss,
        intermediate_values=None if sample.reached is None else dict([sample.reached]),
        params={key: _as_drawn(values, sample.settings[key]) for key, values in own.items()},
        distributions={key: space[key] for key in own},
    )


def _asked(sweep: SweepConfig, study: Study) -> Callable[[str], Any]:
    """The value of each key of a new sample, drawn when it is asked for."""
    trial = study.ask()
    return lambda key: _as_set(sweep.random[key], _suggested(trial, key, sweep.random[key]))


def _suggested(trial: Trial, key: str, values: Range | list[Any]) -> Any:
    if not isinstance(values, Range):
        return trial.suggest_categorical(key, range(len(values)))
    low, high = values.ends
    if values.integer:
        return trial.suggest_int(key, round(low), round(high), log=values.log is not None)
    return trial.suggest_float(key, low, high, log=values.log is not None)


def _distribution(values: Range | list[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        return CategoricalDistribution(range(len(values)))
    low, high = values.ends
    if values.integer:
        return IntDistribution(round(low), round(high), log=values.log is not None)
    return FloatDistribution(low, high, log=values.log is not None)


def _as_set(values: Range | list[Any], drawn: Any) -> Any:
    """What a trial sets: an item of a list, or a number with ten digits, as in a grid."""
    if not isinstance(values, Range):
        return values[drawn]
    low, high = values.ends
    return drawn if values.integer else min(max(float(f"{drawn:.10g}"), low), high)


def _as_drawn(values: Range | list[Any], value: Any) -> Any:
    return value if isinstance(values, Range) else values.index(value)
