"""The examples in the docstrings of the whole package run."""

import doctest
import importlib
import pkgutil

import pytest

import lrtool

#: `python -m lrtool` runs where it is imported.
MODULES = [found.name for found in pkgutil.walk_packages(lrtool.__path__, "lrtool.") if found.name != "lrtool.__main__"]


def examples(name):
    """The docstrings of a module that have examples."""
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    for test in examples(name):
        assert doctest.DocTestRunner().run(test).failed == 0, test.name


def test_the_examples_are_found():
    """Of a function, a class, a method and a property, in several layers."""
    found = {test.name for name in MODULES for test in examples(name)}
    assert {
        "lrtool.analysis.statistics.comparison.compare",
        "lrtool.schedules.decays.cosine.Cosine",
        "lrtool.analysis.pruning.halving.Halving",
        "lrtool.live.curve_lr.CurveLR",
    } <= found
