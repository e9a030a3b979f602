"""LR searches for each variant of a sweep, before it is trained; a search is never repeated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrtool.config.schema import Config
from lrtool.config.sweep.combinations import Combination
from lrtool.config.sweep.planner import SweepPlanner
from lrtool.config.sweep.schema import Assignments, Tune
from lrtool.errors import LrtoolError, OutputError
from lrtool.executors import Executor
from lrtool.experiments.observers import ObserverFactory
from lrtool.experiments.prior.start import foretold_by
from lrtool.experiments.setup import Setup, prepare
from lrtool.experiments.spread.engines import SpreadEngines
from lrtool.experiments.tune import run_tune
from lrtool.experiments.tune_result import TuneResult
from lrtool.runs.sweep.store import SweepStore


class TunedLRs:
    """Searches LRs and remembers them; `found` has the LR of each variant, or None, `untuned` why there is none."""

    def __init__(
        self,
        tune: Tune,
        store: SweepStore,
        folder: Path,
        watch: ObserverFactory,
        allow_import: frozenset[str],
        executor: Executor | None = None,
    ) -> None:
        """`executor`: where the searches train, if it has other machines."""
        self._executor = executor if executor is not None and executor.elsewhere else None
        self._tune, self._store, self._folder = tune, store, folder
        self._watch, self._allow_import = watch, allow_import
        self.found: dict[str, float | None] = {}
        self.untuned: dict[str, str] = {}
        self._before: list[tuple[Config, Setup, float]] = []

    def search(self, planner: SweepPlanner, chosen: Sequence[Combination]) -> dict[str, Assignments]:
        """What each of these combinations is to set, by its label."""
        lrs: dict[str, Assignments] = {}
        for combination in chosen:
            name = combination.label
            found = self._store.fact(f"tuned:{name}")
            if found is None:
                found = self._searched(planner.config(combination, {}).model_copy(update={"name": name}))
                self._store.remember(f"tuned:{name}", found)
            self.found[name] = found["lr"]
            if found["lr"] is None:
                self.untuned[name] = found["reason"]
            else:
                lrs[name] = {"optimizer.lr": found["lr"]}
        return lrs

    def _searched(self, config: Config) -> dict[str, Any]:
        """Find one variant's best LR; its run folder is kept below `tune/`."""
        try:
            setup = prepare(config, self._allow_import)
            expected = foretold_by(self._before, setup)
            engines = SpreadEngines(self._executor, setup, self._allow_import) if self._executor is not None else None
            _, result = run_tune(
                setup,
                self._folder / "tune",
                self._watch,
                self._tune.budget,
                engines=engines,
                loggers=(),
                expected=expected,
            )
            assert isinstance(result, TuneResult)
        except OutputError:
            raise
        except LrtoolError as error:
            return {"lr": None, "reason": str(error)}
        best = result.best.response
        if best.lr is not None:
            self._before.append((config, setup, best.lr))
        return {"lr": best.lr, "reason": best.reason.value if best.reason is not None else ""}
