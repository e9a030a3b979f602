"""Rounding is let through, another method is not."""

from __future__ import annotations

import pytest
import torch

from lrtool.engine.vector.proof.closeness import changes_differ, gradients_differ, losses_agree, telling

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [(1.0, 1.00005, True), (1.0, 1.001, False), (NAN, INF, True), (NAN, 1.0, False), (0.0, 1e-7, True)],
)
def test_losses(one: float, other: float, agree: bool) -> None:
    assert losses_agree(torch.tensor([1.0, one]), torch.tensor([1.0, other])) is agree


def test_gradients_are_compared_by_the_largest_of_their_tensor() -> None:
    expected = {"a": torch.tensor([1.0, 1e-6]), "b": torch.tensor([0.1])}
    assert gradients_differ({"a": torch.tensor([1.0005, 2e-6]), "b": torch.tensor([0.1])}, expected) is None
    assert gradients_differ({"a": torch.tensor([1.01, 1e-6]), "b": torch.tensor([0.1])}, expected) == "a"


def test_a_gradient_that_is_expected_nowhere_must_be_zero() -> None:
    expected = {"a": torch.tensor([1.0])}
    assert gradients_differ({**expected, "unused": torch.zeros(2)}, expected) is None
    assert gradients_differ({**expected, "unused": torch.tensor([0.1, 0.0])}, expected) == "unused"


def test_a_slow_drift_does_not_pass_as_rounding() -> None:
    before = {"w": torch.ones(3)}
    expected, drifted = {"w": torch.ones(3) - 1e-3}, {"w": torch.ones(3) - 1.1e-3}
    assert changes_differ(before, expected, expected) is None
    assert changes_differ(before, drifted, expected) == "w"


def test_whole_numbers_and_forms_must_be_the_same() -> None:
    before = {"count": torch.tensor(1)}
    assert changes_differ(before, {"count": torch.tensor(2)}, {"count": torch.tensor(2)}) is None
    assert changes_differ(before, {"count": torch.tensor(3)}, {"count": torch.tensor(2)}) == "count"
    assert changes_differ(before, {"count": torch.tensor(2.0)}, {"count": torch.tensor(2)}) == "count"


def test_entries_of_mere_rounding_tell_nothing() -> None:
    mask = telling({"weight": torch.tensor([1.0, 0.5, 1e-4]), "bias before a norm": torch.tensor([1e-8, 0.0])})
    assert mask["weight"].tolist() == [True, True, False]
    assert mask["bias before a norm"].tolist() == [False, False]
