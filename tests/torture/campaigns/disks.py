"""A disk that fails at the k-th operation, or from it on, for every k of a short run of every command; and power cuts.

The failing disk (ENOSPC, EIO, EACCES in turn) must be said, with the exit code for it; nothing may be silently done;
what is left goes on to the result of a run that met no fault. Power is cut after every operation of whatever can be
resumed: what was not synced is lost, or torn. SQLite's own writes go past that layer, and it has tests of its own for
them: of a sweep that lost its power the database is not there at all. Where the disk fails they are counted, too.
"""

from __future__ import annotations

import errno
import pickle
import re
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lrtool.errors import ExitCode
from lrtool.runs.folder import RunFolder
from lrtool.runs.manifest import COVERED
from tests.experiments.resuming.file_layer import FileLayer, replayed
from tests.torture.campaigns import kills
from tests.torture.support import failing_disk, forks, runs
from tests.torture.support.parts import Part, Shown

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
#: What is run, and whether it can be gone on with. RUN and SWEEP are runs made before.
COMMANDS: dict[str, tuple[tuple[str, ...], bool]] = {
    "train": (("train", "c.yaml", "--output", "out", "--quiet"), True),
    "range-test": (("range-test", "c.yaml", "--set", "data.kind=regression", "--output", "out", "--quiet"), True),
    "tune": (("tune", "c.yaml", "--budget", "4x", "--output", "out", "--quiet"), True),
    "sweep": (("sweep", "s.yaml", "--output", "out", "--quiet"), True),
    "transfer": (
        (
            "transfer",
            "t.yaml",
            "--to",
            "train.duration=800",
            "--engine",
            "loop",
            "--budget",
            "2x",
            "--output",
            "out",
            "--quiet",
        ),
        True,
    ),
    "compare": (("compare", "SWEEP", "--csv", "out/table.csv", "--output", "out"), False),
    "report": (("report", "RUN", "SWEEP", "--output", "out/report.html"), False),
}
#: What may fail where all else is done: the removal of what is not needed any more, a link where a file does as well, a
#: folder that is there already, the words in a lock that say who holds it; and of SQLite the log that it would rather
#: have (without it, it syncs every transaction), that log's index, and their removal.
NEEDLESS = re.compile(
    r"|unlink .*|symlink .*|mkdir (checkpoints|out)|\w+ (run|sweep)\.lock"
    r"|\w+ \S+-(shm|journal)|open \S+-wal|fsync [\d-]+-sweep"
)
#: Some systems have no fsync of folders, and say so by EACCES.
NO_SYNC = re.compile(r"fsync (checkpoints|out|[\d-]+-[a-z-]+)")
CUT = tuple(name for name, (_, resumable) in COMMANDS.items() if resumable)
#: About the minutes that a command takes; the others take as long as one.
MINUTES = {"train": 4.0, "range-test": 3.0, "tune": 6.0, "sweep": 5.0, "transfer": 6.0, "report": 3.0}


def layered(root: Path, report: Path, at: int | None = None, number: int = 0, once: bool = False) -> Callable[[], None]:
    """Called in a child: its file operations below `root` are counted, and the one at `at` fails, or all from it on.

    `report` then has the count, and what kind the first was that failed, if any did.
    """

    def install() -> None:
        forks.without_plots()
        if failing_disk.preloaded():
            failing_disk.arm(root, report, at, number, once)
            return
        layer = FileLayer(root, at, number, once)
        layer.install(pytest.MonkeyPatch())
        step = layer._step

        def counted(kind: str, path: Any) -> None:
            try:
                step(kind, path)
            finally:
                report.write_text(f"{layer.count} {' '.join(layer.failed) if layer.failed else ''}")

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
        self.operations = int(self._run(None, 0)[1].split()[0])
        # What a transfer plans goes by the times that it measures.
        self.wanted = self._content() if self.command != "transfer" else {}

    def failing(self, every: int, once: bool) -> Shown:
        """Each operation fails, with all that follow unless `once`. AssertionError where one does in silence."""
        for at in range(1, self.operations + 1, every):
            number = ERRORS[at % len(ERRORS)]
            ended, failed = self._run(at, number, once)
            what = f"{self.command}: operation {failed} of {self.operations} ({errno.errorcode[number]}): {ended.said}"
            if ended.code == 0:
                self._made_no_difference(failed, number, what)
                self.counts["made no difference"] += 1
                continue
            assert ended.code == ExitCode.OUTPUT and "Traceback" not in ended.err and ended.err.strip(), what
            self.counts["said"] += 1
            run = kills.begun(self.root)
            if self.resumable and run is not None:
                self._goes_on(run, what)
                self.counts["went on to the same result"] += 1
        tried = self.counts["said"] + self.counts["made no difference"]
        said = ", ".join(f"{many} {outcome}" for outcome, many in self.counts.items())
        return Shown(f"{tried} of {self.operations} operations, {'by itself' if once else 'and all after it'}", said)

    def _made_no_difference(self, failed: str, number: int, what: str) -> None:
        """Nothing failed, as this run had fewer, or the removal of what had done its duty: everything else was done."""
        run = kills.begun(self.root)
        operation = failed.partition(" ")[2]
        needless = NEEDLESS.fullmatch(operation) or (number == errno.EACCES and NO_SYNC.fullmatch(operation))
        assert needless and self._same(self._content()), what
        for name in COVERED if run is not None else ():
            RunFolder(run).verify(name)

    def _run(self, at: int | None, number: int, once: bool = False) -> tuple[forks.Ended, str]:
        """How it ended, and what was counted."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        report = self.folder / "count"
        ended = forks.run(self.folder, *self.words, before=layered(self.root, report, at, number, once))
        assert at is not None or ended.code == 0, ended.said
        return ended, report.read_text().rstrip("\0")

    def _content(self) -> dict[str, Any]:
        run = kills.begun(self.root)
        return runs.content(run) if run is not None else {}

    def _goes_on(self, run: Path, what: str) -> None:
        ended = forks.run(self.folder, self.command, "--resume", run, "--quiet", before=forks.without_plots)
        assert ended.code == 0 and self._same(runs.content(run)), f"{what}; resumed: {ended.said}"

    def _same(self, found: dict[str, Any]) -> bool:
        return all(found.get(name) == value for name, value in self.wanted.items())


class PowerCuts(Disks):
    """Cuts the power under one command."""

    def cut(self, every: int) -> Shown:
        """After every operation. AssertionError where what is left does not go on."""
        record = self.folder / "record"
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
        wanted, place = runs.content(run) if self.command != "transfer" else {}, run.relative_to(self.root)
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
        return Shown(f"{tried} cuts, after every {every} of {len(done)} operations", "all went on to the same result")


def parts(scale: float) -> list[Part]:
    """A failing disk, once and for good, and power cuts, each for every command."""
    every, promise = round(1 / scale), "a failing disk is said, what was saved goes on"
    failing = [
        Part(f"disks: {name}{', once' if once else ''}", promise, partial(_failing, name, every, once), _minutes(name))
        for name in COMMANDS
        for once in (False, True)
    ]
    promise = "what a power cut leaves goes on"
    return failing + [Part(f"power: {name}", promise, partial(_cut, name, every), _minutes(name)) for name in CUT]


def _minutes(command: str) -> float:
    return MINUTES.get(command, 1.0)


def _failing(command: str, every: int, once: bool, folder: Path) -> Shown:
    disks = Disks(command, folder)
    disks.prepare()
    return disks.failing(every, once)


def _cut(command: str, every: int, folder: Path) -> Shown:
    cuts = PowerCuts(command, folder)
    runs.write_configs(folder)
    return cuts.cut(every)
