"""Searches that several processes make together find what one process finds, and only the first one writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrtool.engine.parallel.ranks import ALONE, Ranks
from lrtool.engine.trials import EngineName
from lrtool.experiments.engines import Engines
from lrtool.experiments.parallel.conducting import Farewell, conducted, dismiss, follow
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.setup import Setup
from lrtool.experiments.tune import run_tune
from tests.engine.parallel.processes import together

#: What a search finds: the LR, how many trials it took, and what the engine is said to be.
Search = Callable[[Setup, Path, Engines], tuple[float | None, int, str]]


class Together(Engines):
    """Every trial is trained by all processes, also where one would be sooner."""

    def __init__(self) -> None:
        super().__init__(EngineName.LOOP)

    def _with_others(self, choice: Any, *_: Any) -> Any:
        return conducted(choice.engine)


@pytest.fixture
def silent_search(silent: Any) -> dict[str, Search]:
    def tune(setup: Setup, folder: Path, engines: Engines) -> tuple[float | None, int, str]:
        run, _ = run_tune(setup, folder, silent, 16.0, engines=engines)
        return run.results["suggested_lr"], run.steps, run.results["engine"]["reason"]

    def range_test(setup: Setup, folder: Path, engines: Engines) -> tuple[float | None, int, str]:
        run, _ = run_range_test(setup, folder, silent, engines, 8.0)
        return run.results["suggested_lr"], run.steps, run.results["engine"]["reason"]

    return {"tune": tune, "range-test": range_test}


def searched(search: Search, setup: Setup, folder: Path, engines: Callable[[], Engines]) -> Callable[[Ranks], Any]:
    """A process's part in a search; what the first one finds."""

    def work(ranks: Ranks) -> Any:
        if ranks.rank:
            return follow(ranks, setup)
        found = search(setup, folder, engines())
        if not ranks.alone:
            dismiss(ranks, Farewell())
        return found

    return work


@pytest.mark.usefixtures("undrawn")
@pytest.mark.deep
@pytest.mark.parametrize("name", ["tune", "range-test"])
@pytest.mark.parametrize("sharded", [False, True], ids=["copies", "shards"])
def test_two_processes_find_the_lr_of_one(
    configured: Any, silent_search: dict[str, Search], tmp_path: Path, name: str, sharded: bool
) -> None:
    changes = {"data__batch_size": 25, "train__duration": 60, "range_test__probe_steps": 30, "range_test__end": 10}
    setup = configured(model__dropout=0.0, **changes)
    search = silent_search[name]
    wanted, steps, _ = searched(search, setup, tmp_path / "one", lambda: Engines(EngineName.LOOP))(ALONE)

    def work(ranks: Ranks) -> Any:
        ranks.sharded = sharded
        # Unasked, a model that is spread is trained by all.
        return searched(search, setup, tmp_path / "two", Engines if sharded else Together)(ranks)

    (lr, done, reason), end = together(tmp_path, 2, work)
    assert wanted is not None and lr == pytest.approx(wanted, rel=0.05)
    assert isinstance(end, Farewell)
    assert ("--fsdp" in reason) is sharded
    assert done == steps
    assert len(list((tmp_path / "two" / "small").glob("*/metrics.csv"))) == 1 + (tmp_path / "two/small/latest").exists()
