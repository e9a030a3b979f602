"""What every function of the API that trains does: a folder to work in, and progress to look at."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lrtool.errors import UsageError

if TYPE_CHECKING:
    from lrtool.analysis.range_test_result import RangeTestResult
    from lrtool.api.parts.asked import Asked
    from lrtool.experiments.engines import Engines
    from lrtool.experiments.range_test.listener import Listener
    from lrtool.experiments.setup import Setup
    from lrtool.experiments.spread.placing import Placing
    from lrtool.report.terminal.progress import ProgressObservers


@contextmanager
def working(output: str | Path | None) -> Iterator[Path]:
    """The folder that run folders are made in; without `output` one of the system's, gone if the work fails.

    Of such a folder plots are drawn once it is saved.
    """
    if output is not None:
        yield Path(output)
        return
    from lrtool.report.pictures import drawn_later

    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="lrtool-"))
        with drawn_later():
            yield folder
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def spread(ready: Asked, placing: Placing, allow_import: Iterable[str], output: Path) -> Iterator[Asked]:
    """The same, whose trials are trained where that is asked for, until the context is left.

    Raises UsageError where a user's own objects are to travel, or the executor cannot be had.
    """
    placing.check()
    if placing.is_elsewhere_or_several and not ready.of_config:
        raise UsageError(
            "objects of this process cannot be trained in another one",
            where="executor",
            remedy="pass a config whose model and data are `use: file.py:Name`",
        )
    with spread_engines(ready.engines, ready.setup, placing, allow_import, output) as engines:
        yield replace(ready, engines=engines)


@contextmanager
def spread_engines(
    engines: Engines, setup: Setup, placing: Placing, allow_import: Iterable[str], output: Path
) -> Iterator[Engines]:
    """These engines, or others that train where that is asked for; `setup` names the files that all trials need."""
    placing.check()
    _check_alone(placing)
    if not placing.is_elsewhere_or_several:
        yield engines
        return
    from lrtool.experiments.spread.engines import SpreadEngines

    allowed = frozenset(allow_import)
    executor = placing.start(setup.config, setup.config, allowed, output)
    assert executor is not None
    with executor:
        yield SpreadEngines(executor, setup, allowed, engines.wanted)


def _check_alone(placing: Placing) -> None:
    """Raise UsageError where trials are to leave this process, which is one of several that train each together."""
    from lrtool.engine.parallel.joining import current

    if placing.is_elsewhere_or_several and not current().alone:
        raise UsageError(
            f"{current().size} processes were started to train each trial together; an executor trains each in one",
            where=f"--executor {placing.executor}",
            remedy="start it once, without a launcher, or leave out --executor",
        )


@contextmanager
def shown(label: str, progress: bool) -> Iterator[ProgressObservers]:
    """Progress on stderr: live in a terminal, plain lines in a notebook or a file, nothing if it is turned off."""
    from lrtool.report.terminal.progress import progress as showing

    with showing(label, quiet=not progress) as watch:
        yield watch


def listening(watch: ProgressObservers) -> Listener:
    """What shows a range test's cost, one bar over all its trainings, and the ramp's answer as soon as there is one."""
    from lrtool.experiments.range_test.listener import Listener
    from lrtool.report.terminal.range_test import found_lines

    class Told(Listener):
        def announced(self, cost: str, updates: int) -> None:
            watch.note(f"cost: {cost}")
            watch.expect(updates)

        def expected(self, updates: int) -> None:
            watch.expect(updates)

        def answered(self, first: RangeTestResult) -> None:
            watch.note(
                "\n".join(["first answer, from the ramp alone; short trainings now check it:", *found_lines(first)])
            )

    return Told()
