"""LR searches for each variant of a sweep, before it is trained; none is repeated, one that was killed goes on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lrtool.config.load import load_config
from lrtool.config.schema import Config
from lrtool.config.sweep.combinations import Combination
from lrtool.config.sweep.planner import SweepPlanner
from lrtool.config.sweep.schema import Assignments, Tune
from lrtool.errors import LrtoolError, OutputError
from lrtool.executors import Executor
from lrtool.experiments.observers import ObserverFactory
from lrtool.experiments.prior.start import foretold_by
from lrtool.experiments.resuming.searches import begun
from lrtool.experiments.setup import Setup, prepare
from lrtool.experiments.spread.engines import SpreadEngines
from lrtool.experiments.tune import resume_tune, run_tune
from lrtool.experiments.tune_result import TuneResult
from lrtool.runs.folder import RunFolder, folder_name
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
        self._tune, self._store, self._folder = tune, store, folder / "tune"
        self._watch, self._allow_import = watch, allow_import
        self.found: dict[str, float | None] = {}
        self.untuned: dict[str, str] = {}
        self._before: list[tuple[Config, float]] = []

    def search(self, planner: SweepPlanner, chosen: Sequence[Combination]) -> dict[str, Assignments]:
        """What each of these combinations is to set, by its label."""
        lrs: dict[str, Assignments] = {}
        for combination in chosen:
            name = combination.label
            config = planner.config(combination, {}).model_copy(update={"name": name})
            found = self._store.fact(f"tuned:{name}")
            if found is None:
                found = self._searched(config)
                self._store.remember(f"tuned:{name}", found)
            self.found[name] = found["lr"]
            if found["lr"] is None:
                self.untuned[name] = found["reason"]
            else:
                lrs[name] = {"optimizer.lr": found["lr"]}
                # Also of one that was found before the sweep was resumed: the next search begins where it would have.
                self._before.append((config, found["lr"]))
        return lrs

    def _searched(self, config: Config) -> dict[str, Any]:
        """Find one variant's best LR; its run folder is kept below `tune/`."""
        try:
            setup = prepare(config, self._allow_import)
            result = self._result(config, setup)
        except OutputError:
            raise
        except LrtoolError as error:
            return {"lr": None, "reason": str(error)}
        best = result.best.response
        return {"lr": best.lr, "reason": best.reason.value if best.reason is not None else ""}

    def _result(self, config: Config, setup: Setup) -> TuneResult:
        engines = SpreadEngines(self._executor, setup, self._allow_import) if self._executor is not None else None
        killed = self._begun(config.name)
        if killed is not None:
            # What was changed since, and gone on with by --force, is searched anew.
            result = resume_tune(setup, killed, self._watch, force=True, engines=engines, loggers=())[1]
        else:
            result = run_tune(
                setup,
                self._folder,
                self._watch,
                self._tune.budget,
                engines=engines,
                loggers=(),
                expected=foretold_by(self._before, config, setup),
            )[1]
        assert isinstance(result, TuneResult)
        return result

    def _begun(self, name: str) -> RunFolder | None:
        """The folder of a variant's search that was killed, if one was; what was killed before it began is removed."""
        for path in sorted((self._folder / folder_name(name)).glob("2*-tune*")):
            if path.is_symlink() or not path.is_dir():
                continue
            if not begun(path):
                shutil.rmtree(path, ignore_errors=True)
                continue
            # Names of which no folder can have all may share one.
            with suppress(LrtoolError):
                if load_config(path / "config.yaml", code_beside=False).name == name:
                    return RunFolder(path)
        return None
