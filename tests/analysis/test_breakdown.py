"""A slice of `tests/benchmarks/divergence.py`, and what the issue named: kinds once missed, and false alarms."""

import numpy as np
import pytest

from lrtool.analysis.divergence import TRAINING, first_divergence

RNG = np.random.default_rng(0)
T = np.arange(600)
LEARNING = 2.3 * np.exp(-T / 60) + 0.4 + 0.02 * RNG.normal(size=600)


def after(at: int, losses: np.ndarray, then: object) -> np.ndarray:
    return np.where(np.arange(len(losses)) < at, losses, then)


BROKEN = {
    "within ten updates": np.minimum(2.3 * 3.0 ** np.maximum(np.arange(40) - 3, 0), 1e9),
    "short run": after(50, LEARNING[:80], 0.5 + 0.05 * 2.0 ** np.maximum(np.arange(80) - 50, 0)),
    "just before the end": LEARNING + 0.1 * 3.0 ** np.maximum(T - 588, 0),
    "to twice the start": after(300, LEARNING, 5.4 + 0.1 * RNG.normal(size=600)),
    "to chance": after(300, LEARNING, 2.7 + 0.01 * RNG.normal(size=600)),
    "to and fro": np.where(T % 2 == 0, 0.3, 1e6),
    "from the first update on, and back": np.where(
        np.arange(70) == 0,
        1.3,
        np.maximum(2e3, np.minimum(1e5 * 8.0 ** np.arange(70), 1e36 * 1e-9 ** (np.arange(70) - 45.0))),
    ),
    "growing oscillation": 0.5 + 0.01 * 1.02**T * np.abs(np.sin(T)),
}
SOUND = {
    "easy first": (0.1 + 1.5 * T / 600) * (1 + 0.1 * RNG.normal(size=600)),
    "harder from the middle on": LEARNING + np.where(T > 300, 1.5 * np.exp(-(T - 300) / 100), 0),
    "shift": np.where(T < 300, 0.05, 0.6) * (1 + 0.1 * RNG.normal(size=600)),
    "critic": np.cumsum(RNG.normal(size=600)),
    "double descent": LEARNING + 1.5 * np.exp(-(((T - 250) / 60) ** 2)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_trainings_are_seen(kind: str) -> None:
    assert first_divergence(BROKEN[kind]) is not None


@pytest.mark.parametrize("kind", SOUND)
def test_sound_trainings_are_let_be(kind: str) -> None:
    assert first_divergence(SOUND[kind]) is None


def test_a_long_run_costs_bounded_time_and_memory() -> None:
    monitor = TRAINING.monitor()
    for _ in range(20):
        assert monitor.update(RNG.normal(size=10_000)) is None
    assert monitor.finish() is None


def test_what_happened_is_said() -> None:
    monitor = TRAINING.monitor()
    monitor.update(BROKEN["to chance"])
    monitor.finish()
    assert monitor.reason.startswith("the loss went back to where it started")
