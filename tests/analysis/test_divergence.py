import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from lrtool.analysis.divergence import RANGE_TEST, TRAINING, DivergenceMonitor, DivergenceRule, Rule, first_divergence

RULES = pytest.mark.parametrize("rule", [RANGE_TEST, TRAINING], ids=["range_test", "training"])


def exploding(seed: int, steps: int = 400, at: int = 150) -> np.ndarray:
    """Falls from 2.3 to about 1.2, then grows by a tenth a step."""
    rng = np.random.default_rng(seed)
    t = np.arange(steps)
    growth = np.where(t > at, 0.05 * (1.1 ** np.maximum(t - at, 0) - 1), 0.0)
    return 2.3 * np.exp(-t / 230) + 0.05 * rng.normal(size=steps) + growth


def fine(kind: str, seed: int, steps: int = 600) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(steps)
    match kind:
        case "flat":
            return 0.7 + 0.1 * rng.normal(size=steps)
        case "falling":
            return 2.3 * np.exp(-t / 80) * (1 + 0.2 * rng.normal(size=steps))
        case "negative":
            return -3 - t / 200 + 0.3 * rng.normal(size=steps)
        case "near zero":
            return 0.001 * rng.exponential(size=steps)
        case "heavy tails":
            return 1.0 + 0.1 * rng.standard_t(2, size=steps)
        case "skewed":
            return np.exp(rng.normal(size=steps)) * np.exp(-t / 300)
        case "spikes":
            return 2.0 * np.exp(-t / 80) + 0.05 * rng.normal(size=steps) + 30.0 * (rng.random(steps) < 0.02)
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@RULES
def test_first_non_finite_loss_diverges_at_once(bad: float, rule: Rule) -> None:
    assert first_divergence([bad], rule) == 0
    assert first_divergence([1.0, 0.9, bad, 0.8, bad], rule) == 2


@RULES
def test_explosion_is_found_after_it_starts(rule: Rule) -> None:
    for seed in range(20):
        found = first_divergence(exploding(seed), rule)
        assert found is not None
        assert 150 < found < 350


def test_range_test_stops_sooner_than_training() -> None:
    for seed in range(20):
        soon, late = first_divergence(exploding(seed), RANGE_TEST), first_divergence(exploding(seed), TRAINING)
        assert soon is not None and late is not None
        assert soon < 215
        assert soon < late


@RULES
@pytest.mark.parametrize("kind", ["flat", "falling", "negative", "near zero", "heavy tails", "skewed", "spikes"])
def test_no_false_alarm(kind: str, rule: Rule) -> None:
    assert [first_divergence(fine(kind, seed), rule) for seed in range(100)] == [None] * 100


def test_spike_that_recovers_is_forgiven_in_training() -> None:
    losses = fine("flat", 0)
    losses[200:280] += 50.0
    assert first_divergence(losses, TRAINING) is None


def test_low_start_that_rises_to_a_plateau_is_not_divergence_in_training() -> None:
    t = np.arange(600)
    losses = 0.1 + 0.4 * (1 - np.exp(-t / 50)) + 0.02 * np.random.default_rng(0).normal(size=600)
    assert first_divergence(losses, TRAINING) is None


@RULES
def test_no_verdict_without_a_scale(rule: Rule) -> None:
    assert first_divergence([], rule) is None
    assert first_divergence([1.0], rule) is None
    assert first_divergence(np.full(500, 0.25), rule) is None
    assert first_divergence([1.0, 100.0, 10000.0], rule) is None


@given(
    seed=st.integers(0, 1000),
    factor=st.floats(1e-3, 1e3),
    offset=st.floats(-1e3, 1e3),
    at=st.integers(20, 300),
)
@settings(max_examples=examples(150), deadline=None)
def test_verdict_is_the_same_for_any_unit_and_zero_of_the_loss(
    seed: int, factor: float, offset: float, at: int
) -> None:
    losses = exploding(seed, at=at)
    assert first_divergence(factor * (losses + offset), RANGE_TEST) == first_divergence(losses, RANGE_TEST)


@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 400), max_size=12))
@settings(max_examples=examples(150), deadline=None)
def test_verdict_does_not_depend_on_chunks(seed: int, cuts: list[int]) -> None:
    losses = exploding(seed)
    for rule in (RANGE_TEST, TRAINING):
        monitor = rule.monitor()
        for chunk in np.split(losses, sorted(cuts)):
            monitor.update(chunk)
        assert monitor.finish() == first_divergence(losses, rule)


@given(
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["flat", "falling", "negative", "near zero", "heavy tails", "skewed", "spikes", "exploding"]),
    size=st.integers(2, 200),
)
@settings(max_examples=examples(200), deadline=None)
def test_calm_chunks_taken_at_once_leave_what_single_losses_leave(seed: int, kind: str, size: int) -> None:
    losses = exploding(seed) if kind == "exploding" else fine(kind, seed)
    whole, single = DivergenceMonitor(), DivergenceMonitor()
    for start in range(0, len(losses), size):
        whole.update(losses[start : start + size])
    # One at a time, and never all at once.
    single._calm = lambda values: False  # type: ignore[method-assign]
    single.update(losses)
    assert _state(whole) == _state(single)


def test_most_chunks_of_a_training_that_learns_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[float] = []
    original = DivergenceMonitor._exploded
    monkeypatch.setattr(DivergenceMonitor, "_exploded", lambda self, y: looked_at.append(y) or original(self, y))
    monitor = DivergenceMonitor()
    for chunk in np.split(fine("falling", 0, 1920), 30):
        assert monitor.update(chunk) is None
    assert len(looked_at) <= 128


def _state(monitor: DivergenceMonitor) -> tuple[object, ...]:
    smoothed, noise = monitor._smoothed, monitor._noise
    return (
        monitor.steps, monitor.diverged_at, monitor._over, monitor._best, smoothed.count, smoothed.value, noise.sigma,
        list(noise._recent),
    )  # fmt: skip


def test_verdict_never_changes_once_given() -> None:
    for rule in (RANGE_TEST, TRAINING):
        monitor = rule.monitor()
        assert monitor.update([1.0, np.nan, 1.0]) in (1, None)
        assert monitor.update(np.ones(50)) == monitor.finish() == 1


@pytest.mark.parametrize(
    ("field", "value"), [("factor", 0.5), ("noise", -1.0), ("patience", 0), ("warmup", 1), ("factor", np.nan)]
)
def test_rule_that_cannot_work_is_refused(field: str, value: float) -> None:
    fields = {"factor": 2.0, "noise": 10.0, "patience": 5} | {field: value}
    with pytest.raises(ValueError, match=field):
        DivergenceRule(**fields)


def test_what_had_learned_and_rose_beyond_all_it_saw_has_diverged_however_slowly() -> None:
    t = np.arange(600)
    for seed in range(20):
        noise = 1 + 0.05 * np.random.default_rng(seed).normal(size=600)
        learned = (0.4 + 1.9 * np.exp(-t / 60)) * noise
        assert first_divergence(learned + 0.5 * np.maximum(t - 200, 0) * noise) is not None
        # Data that get harder by and by.
        assert first_divergence(learned + 0.02 * np.maximum(t - 200, 0) * noise) is None
