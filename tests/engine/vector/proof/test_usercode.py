"""Which code is the user's, and where in it a name stands."""

from __future__ import annotations

import json

import torch

from lrtool.engine.vector.proof import usercode
from lrtool.engine.vector.proof.usercode import in_library, is_users, is_users_file, names_in, where

COUNT = 0


class Counter:
    def __init__(self) -> None:
        self.seen = 0

    def step(self) -> int:
        global COUNT
        COUNT = COUNT + 1
        self.seen = self.seen + 1
        return max(len(str(each)) for each in (self.seen, COUNT))


def test_libraries_are_told_from_the_users_files() -> None:
    assert is_users(Counter.step.__code__) and is_users_file(__file__)
    for library in (json.dumps, torch.manual_seed, usercode.where):
        assert not is_users(library.__code__)
    assert not is_users_file("<frozen importlib._bootstrap>") and is_users_file("<stdin>")


def test_modules_too() -> None:
    assert all(in_library(name) for name in ("json", "os.path", "lrtool.units", "torch.nn", "numpy"))
    assert not in_library("my_model") and not in_library(__name__)


def test_every_name_that_code_uses_is_found_inner_functions_included() -> None:
    names = names_in(Counter.step.__code__)
    assert {"COUNT", "seen", "len", "str"} <= set(names)


def test_the_line_that_sets_a_name_comes_before_one_that_reads_it() -> None:
    first = Counter.step.__code__.co_firstlineno
    assert where("seen", [Counter.step.__code__]) == f"{__file__}:{first + 3}"
    assert where("COUNT", [Counter.step.__code__]) == f"{__file__}:{first + 2}"
    assert where("len", [Counter.step.__code__]) == f"{__file__}:{first + 4}"
    assert where("nothing", [Counter.step.__code__]) is None
    assert where("seen", [Counter.__init__.__code__]) is None, "a constructor only makes what is there"
