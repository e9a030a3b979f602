"""A disk that fails from the k-th operation on, for every k of a short run of every command; and power cuts.

The failing disk (ENOSPC, EIO, EACCES in turn) must be said, with the exit code for it; nothing may be silently done;
what is left goes on to the result of a run that met no fault. Power is cut after every operation of `range-test`,
`tune` and `sweep` (of `train`: tests/experiments/resuming/test_faults.py): what was not synced is lost, or torn.
SQLite's own writes go past the layer, and it has tests of its own for them: of a sweep that lost its power the
database is not there at all. Usage: python -m tests.torture.disks [EVERY [COMMAND]], to try each EVERY-th only.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrtool.errors import ExitCode
from lrtool.runs.folder import RunFolder
from lrtool.runs.manifest import COVERED
from tests.experiments.resuming.file_layer import FileLayer, replayed
from tests.torture import forks, kills, runs

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
#: What is run, and whether it can be gone on with. RUN and SWEEP are runs made before.
COMMANDS: dict[str, tuple[tuple[str, ...], bool]] = {
    "train": (("train", "c.yaml", "--output", "out", "--quiet"), True),
    "range-test": (("range-test", "c.yaml", "--set", "data.kind=regression", "--output", "out", "--quiet"), True),
    "tune": (("tune", "c.yaml", "--budget", "4x", "--output", "out", "--quiet"), True),
    "sweep": (("sweep", "s.yaml", "--output", "out", "--quiet"), True),
    "transfer": (("transfer", "t.yaml", "--to", "train.duration=800", "--budget", "2x", "--output", "out"), False),
    "compare": (("compare", "SWEEP", "--csv", "out/table.csv", "--output", "out"), False),
    "report": (("report", "RUN", "SWEEP", "--output", "out/report.html"), False),
}
#: Operations at the end of a run that remove what is there no more.
LAST = 3
CUT = ("range-test", "tune", "sweep")


def layered(root: Path, count: Path, at: int | None = None, number: int = 0) -> Callable[[], None]:
    """Called in a child: its file operations below `root` are counted, and fail from `at` on."""

    def install() -> None:
        forks.without_plots()
        layer = FileLayer(root, at, number)
        layer.install(pytest.MonkeyPatch())
        step = layer._step

        def counted(path: Any) -> None:
            count.write_text(str(layer.count + 1))
            step(path)

        layer._step = counted  # type: ignore[method-assign]

    return install


class Disks:
    """Lets the disk fail under one command."""

    def __init__(self, command: str, folder: Path) -> None:
        self.command, self.folder, self.root = command, folder, folder / "out"
        words, self.resumable = COMMANDS[command]
        # The layer knows whole paths.
        self.words = tuple(str(folder / word) if word.partition("/")[0] == "out" else word for word in words)
        self.counts: Counter[str] = Counter()

    def prepare(self) -> None:
        """The runs that are read."""
        runs.write_configs(self.folder)
        if self.command in ("compare", "report"):
            found = {"RUN": runs.made(self.folder, "train", "made"), "SWEEP": runs.made(self.folder, "sweep", "made-2")}
            self.words = tuple(str(found.get(word, word)) for word in self.words)
        self.operations = self._run(None, 0)[1]
        self.wanted = self._content()

    def failing(self, every: int) -> str:
        """Every operation fails once; gives what to print. AssertionError where it is not said, or something lost."""
        began = time.perf_counter()
        for at in range(1, self.operations + 1, every):
            number = ERRORS[at % len(ERRORS)]
            ended, _ = self._run(at, number)
            what = f"{self.command}: operation {at} of {self.operations} ({errno.errorcode[number]}): {ended.said}"
            if ended.code == 0:
                # The removal of a file written aside, which had its name already: everything else was done.
                run = kills.begun(self.root)
                assert at > self.operations - LAST and run is not None and self._content() == self.wanted, what
                for name in COVERED:
                    RunFolder(run).verify(name)
                self.counts["no difference"] += 1
                continue
            assert ended.code == ExitCode.OUTPUT and "Traceback" not in ended.err and ended.err.strip(), what
            self.counts["said"] += 1
            run = kills.begun(self.root)
            if self.resumable and run is not None:
                self._goes_on(run, what)
                self.counts["went on"] += 1
        return (
            f"{self.command}: {self.operations} operations, {self.counts['said']} failing disks said,"
            f" {self.counts['no difference']} made no difference, {self.counts['went on']} runs went on to the same"
            f" result; {time.perf_counter() - began:.0f} s"
        )

    def _run(self, at: int | None, number: int) -> tuple[forks.Ended, int]:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        count = self.folder / "count"
        ended = forks.run(self.folder, *self.words, before=layered(self.root, count, at, number))
        assert at is not None or ended.code == 0, ended.said
        return ended, int(count.read_text())

    def _content(self) -> dict[str, Any]:
        run = kills.begun(self.root)
        return runs.content(run) if run is not None else {}

    def _goes_on(self, run: Path, what: str) -> None:
        ended = forks.run(self.folder, self.command, "--resume", run, "--quiet", before=forks.without_plots)
        found = runs.content(run)
        differ = [name for name, value in self.wanted.items() if found.get(name) != value]
        assert ended.code == 0 and not differ, f"{what}; resumed: {ended.said}; {differ} differ"


class PowerCuts(Disks):
    """Cuts the power under one command."""

    def cut(self, every: int) -> str:
        """After every operation; gives what to print. AssertionError where what is left does not go on."""
        import pickle

        began, record = time.perf_counter(), self.folder / "record"
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()

        def recording() -> None:
            forks.without_plots()
            layer = FileLayer(self.root)
            layer.install(pytest.MonkeyPatch())
            from lrtool.cli.app import run

            code = run([*self.words])
            record.write_bytes(pickle.dumps((int(code), layer.done)))

        forks.run(self.folder, recording)
        code, done = pickle.loads(record.read_bytes())
        assert code == 0
        run = kills.begun(self.root)
        assert run is not None
        wanted, place = runs.content(run), run.relative_to(self.root)
        first = next(n for n, each in enumerate(done) if each[0] == "rename" and str(each[2]).endswith("config.yaml"))
        tried = 0
        for number, prefix in enumerate(range(first + 1, len(done) + 1, every)):
            target = self.folder / "cut"
            shutil.rmtree(target, ignore_errors=True)
            replayed(done[:prefix], self.root, target, torn=number % 2 == 0)
            ended = forks.run(
                self.folder, self.command, "--resume", target / place, "--quiet", before=forks.without_plots
            )
            found = runs.content(target / place)
            differ = [name for name, value in wanted.items() if found.get(name) != value]
            what = f"{self.command}: power cut after {prefix} of {len(done)} operations: {ended.said}"
            assert ended.code == 0 and not differ, f"{what}; {differ} differ"
            tried += 1
        return (
            f"{self.command}: {tried} power cuts, all went on to the same result; {time.perf_counter() - began:.0f} s"
        )


def main(every: int = 1, only: str = "") -> None:
    """Run; what is silent or lost ends it with a traceback."""
    forks.warm()
    with tempfile.TemporaryDirectory() as name:
        for command in COMMANDS:
            if re.search(only, command):
                disks = Disks(command, _made(Path(name) / command))
                disks.prepare()
                print(disks.failing(every), flush=True)
        for command in CUT:
            if re.search(only, command):
                cuts = PowerCuts(command, _made(Path(name) / f"{command}-cut"))
                runs.write_configs(cuts.folder)
                print(cuts.cut(every), flush=True)


def _made(folder: Path) -> Path:
    folder.mkdir()
    os.chdir(folder.parent)
    return folder


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:2]), *sys.argv[2:])
