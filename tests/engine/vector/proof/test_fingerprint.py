"""Places and values: which place says most closely where two fingerprints differ."""

from __future__ import annotations

from lrtool.engine.vector.proof.fingerprint import Fingerprint, StatePlace

MODEL = StatePlace("the model's attribute", "")


def test_a_place_is_a_path_that_reads_well() -> None:
    assert str(MODEL) == "the model"
    assert str(MODEL.at(".layers").at("[0]").at(".count")) == "the model's attribute `layers[0].count`"


def of(**values: object) -> Fingerprint:
    return Fingerprint({MODEL.at(f".{name.replace('__', '.')}"): value for name, value in values.items()})


def test_equal_ones_have_no_difference() -> None:
    assert of(a=1, b=2).changed(of(b=2, a=1)) is None


def test_of_places_that_changed_the_innermost_is_named() -> None:
    # That a list became longer shows in the list, and in what holds it.
    found = of(history=1, history__items=3).changed(of(history=2, history__items=4))
    assert found == MODEL.at(".history").at(".items")


def test_of_places_that_came_or_went_the_outermost_is_named() -> None:
    found = of(a=1).changed(of(a=1, cache="new", cache__size=1))
    assert found == MODEL.at(".cache")
    assert of(a=1, gone=2).changed(of(a=1)) == MODEL.at(".gone")
