"""Samples that Optuna's tree-structured Parzen estimator draws near what did well (Bergstra et al. 2011)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lrtool.config.sweep import Assignments, Range, SweepConfig
from lrtool.errors import MissingExtraError
from lrtool.runs.leaders import Leaders
from lrtool.runs.store import StoredTrial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def require_optuna() -> None:
    """Raise MissingExtraError where Optuna is not installed."""
    if find_spec("optuna") is None:
        raise MissingExtraError("optuna", extra="optuna", where="sampler")


def next_samples(
    sweep: SweepConfig, samples: Sequence[Assignments], trials: Sequence[StoredTrial], count: int
) -> list[Assignments]:
    """So many further samples, given those before and their trials; the same again for the same.

    A sample is judged by the mean over its seeds; one of which a trial diverged or failed counts as worse than all.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {key: _distribution(values) for key, values in sweep.random.items()}
    # Without the constant liar the samples of one batch would lie on each other.
    sampler = optuna.samplers.TPESampler(
        seed=sweep.sample_seed + len(samples), constant_liar=True, n_startup_trials=sweep.batch
    )
    study = optuna.create_study(sampler=sampler)
    ranked = {_key(leader.settings): leader for leader in Leaders(trials).ranked()}
    for sample in samples:
        leader = ranked.get(_key(sample))
        good = leader is not None and not leader.others
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.COMPLETE if good else optuna.trial.TrialState.PRUNED,
                value=leader.mean if good and leader is not None else None,
                params={key: _told(sweep.random[key], sample[key]) for key in space},
                distributions=space,
            )
        )
    asked = [study.ask(space) for _ in range(count)]
    return [{key: _drawn(sweep.random[key], trial.params[key]) for key in space} for trial in asked]


def _distribution(values: Range | list[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        return CategoricalDistribution(range(len(values)))
    low, high = values.ends
    if values.integer:
        return IntDistribution(round(low), round(high), log=values.log is not None)
    return FloatDistribution(low, high, log=values.log is not None)


def _drawn(values: Range | list[Any], drawn: Any) -> Any:
    """What a trial sets: an item of a list, or a number with ten digits, as in a grid."""
    if not isinstance(values, Range):
        return values[drawn]
    low, high = values.ends
    return drawn if values.integer else min(max(float(f"{drawn:.10g}"), low), high)


def _told(values: Range | list[Any], value: Any) -> Any:
    return value if isinstance(values, Range) else values.index(value)


def _key(settings: Assignments) -> str:
    return repr(sorted(settings.items()))
