"""Damages every file of run folders, and looks what every command that reads them makes of it.

What may come of it: the damage is named and the command refused (a documented exit code, no traceback), it is named and
mended or left out, or it makes no difference at all. A result that differs in silence is what must never be.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lrtool.errors import ExitCode
from tests.torture.support import forks, runs
from tests.torture.support.parts import Part, Shown, scaled

PAGE = 4096
#: Bits that are flipped, over all kinds of run; `--scale 10` flips as many in each.
FLIPS = 2000
#: Files that no command reads.
PLOTS = (".png", ".svg")
#: How a command may refuse a damaged run.
REFUSED = (ExitCode.USAGE, ExitCode.TASK, ExitCode.OUTPUT)
#: Words by which damage is named, where a command goes on all the same.
NAMED = re.compile(
    r"damaged|torn|missing|cannot be read|lost|not there|trained again|began again|checked when|has not ended"
)


@dataclass(frozen=True)
class Damage:
    """One damage: what of which file; applied to a copy of the run."""

    kind: str
    file: str
    at: int = 0
    other: str = ""

    def apply(self, run: Path) -> None:
        """Do it."""
        path = run / self.file
        data = bytearray(path.read_bytes())
        if self.kind == "flip":
            data[self.at // 8] ^= 1 << self.at % 8
        elif self.kind == "cut":
            del data[self.at :]
        elif self.kind == "zeroed":
            data[:] = bytes(len(data))
        elif self.kind == "zeroed page":
            data[self.at : self.at + PAGE] = bytes(len(data[self.at : self.at + PAGE]))
        elif self.kind == "emptied":
            data.clear()
        elif self.kind == "removed":
            path.unlink()
            return
        elif self.kind == "swapped":
            other = run / self.other
            data, mine = bytearray(other.read_bytes()), data
            other.write_bytes(mine)
        path.write_bytes(data)


@dataclass(frozen=True)
class Reader:
    """A command that reads a run, and what it found, to be compared; `words`: RUN stands for the folder."""

    name: str
    words: tuple[str, ...] = ()
    #: What the command leaves, besides its words.
    leaves: Callable[[Path], Any] | None = None
    function: Callable[[Path], None] | None = None
    #: Whether the run is over, so that it should stay as it is.
    over: bool = False

    def read(self, run: Path) -> tuple[forks.Ended, Any]:
        """Run it on a folder that may be changed; how it ended, and what it found."""
        folder = run.parent
        if self.function is not None:
            ended = forks.run(folder, partial(_told, self.function, run), limited=True)
        else:
            words = [word.replace("RUN", run.name) for word in self.words]
            ended = forks.run(folder, *words, before=forks.without_plots, limited=True)
        if ended.code:
            return ended, (ended.code, ended.err)  # a run may suggest no LR
        return ended, self.leaves(run) if self.leaves is not None else ended.out


def _told(function: Callable[[Path], None], run: Path) -> None:
    """As the command line tells errors."""
    from lrtool.errors import LrtoolError

    try:
        function(run)
    except LrtoolError as error:
        _leave(error)


def _leave(error: Any) -> None:
    """End with an error's code, and its words."""
    sys.stderr.write(f"error: {error}\n")
    sys.exit(int(error.exit_code))


def _loaded(run: Path) -> None:
    """What `lrtool.load` gives: the answer, the rows and the data of the plot."""
    import lrtool

    found = lrtool.load(run)
    print(found, found.rows(), found.status, found.reason)
    print([[line.get_xydata().tolist() for line in axes.lines] for axes in found.plot().axes])


def _page(run: Path) -> str:
    """The report that was written, without the moment and the times."""
    text = (run.parent / "report.html").read_text()
    return re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", "", text)


def _longer(run: Path) -> Any:
    """What the run that was made of another says."""
    return runs.content(runs.newest(run.parent / "longer"))


COMPARE = Reader("compare", ("compare", "RUN", "--json"))
REPORT = Reader("report", ("report", "RUN", "--output", "report.html"), _page)
LOAD = Reader("load", function=_loaded)
LR_FROM = Reader("train --lr-from", ("train", "c.yaml", "--lr-from", "RUN", "--output", "longer", "--quiet"), _longer)


def _resume(command: str, over: bool = False) -> Reader:
    """Going on; a run that is `over` stays as it is, and all that comes of it is what is said."""
    leaves = None if over else runs.content
    return Reader(f"{command} --resume", (command, "--resume", "RUN", "--quiet"), leaves, over=over)


@dataclass(frozen=True)
class Kind:
    """A kind of run that is damaged, and who reads it; `count`: how often it saves before it is killed; 0: never."""

    name: str
    command: str
    readers: tuple[Reader, ...]
    count: int = 0
    number: int = 9
    minutes: float = 5.0


KINDS = (
    Kind("train, killed", "train", (_resume("train"), REPORT), count=4),
    Kind("train, stopped", "train", (_resume("train"), REPORT, LOAD), count=4, number=15),
    Kind(
        "train, finished",
        "train",
        (
            COMPARE,
            REPORT,
            LOAD,
            _resume("train", over=True),
            Reader("train --extend", ("train", "RUN", "--extend", "2x", "--output", "longer", "--quiet"), _longer),
            Reader(
                "train --init-from", ("train", "c.yaml", "--init-from", "RUN", "--output", "longer", "--quiet"), _longer
            ),
        ),
    ),
    Kind("range-test, killed", "range-test", (_resume("range-test"),), count=3),
    Kind("range-test, finished", "range-test", (LR_FROM, LOAD, REPORT, _resume("range-test", over=True))),
    Kind("tune, killed", "tune", (_resume("tune"),), count=200),
    Kind("tune, finished", "tune", (LR_FROM, LOAD, REPORT, _resume("tune", over=True))),
    Kind("transfer, finished", "transfer", (LR_FROM, LOAD, REPORT)),
    Kind("sweep, killed", "sweep", (_resume("sweep"), COMPARE), count=4),
    Kind("sweep, finished", "sweep", (COMPARE, REPORT, LOAD, _resume("sweep", over=True))),
)


def others(run: Path) -> Iterator[Damage]:
    """Every damage but flips: each file cut at every 4 KiB and in between, zeroed, emptied, removed, swapped."""
    names = files(run)
    for name in names:
        size = (run / name).stat().st_size
        yield Damage("zeroed", name)
        yield Damage("removed", name)
        if name.endswith(PLOTS):
            continue
        for at in sorted({*range(0, size, PAGE), size // 2, max(0, size - 1)}):
            yield Damage("cut", name, at)
        for at in range(0, size, PAGE) if size > PAGE else ():
            yield Damage("zeroed page", name, at)
    for number, name in enumerate(names):
        # With the next one, and the next one of its kind.
        alike = [each for each in names[number + 1 :] if Path(each).suffix == Path(name).suffix]
        for other in {*names[number + 1 : number + 2], *alike[:2]}:
            yield Damage("swapped", name, other=other)


def files(run: Path) -> list[str]:
    """Every file of a run that has something in it."""
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.stat().st_size)


def flips(run: Path, count: int, draw: random.Random) -> Iterator[Damage]:
    """Flipped bits, as many in each file whatever its size, so that short ones get theirs."""
    names = [name for name in files(run) if not name.endswith(PLOTS)]
    for number in range(count):
        name = names[number % len(names)]
        yield Damage("flip", name, draw.randrange((run / name).stat().st_size * 8))


@dataclass
class Campaign:
    """Tries damages on one kind of run, and counts what came of them; `wrong` are those that must not be."""

    kind: Kind
    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        runs.write_configs(self.folder)
        stop = runs.killed_at(self.kind.command, self.kind.count, self.kind.number) if self.kind.count else None
        self.run = runs.made(self.folder, self.kind.command, "made", stop)
        self.wanted: dict[str, Any] = {}
        for reader in self.kind.readers:
            ended, found = self._read(reader, None)
            assert ended.code == 0 or reader == LR_FROM, f"{self.kind.name}, {reader.name}, undamaged: {ended.said}"
            self.wanted[reader.name] = found

    def attempt(self, damage: Damage, reader: Reader) -> str:
        """Damage a copy and let it be read; gives what came of it, in a word."""
        ended, found = self._read(reader, damage)
        said = ended.err + ended.out
        if ended.code is None:
            outcome = "HANGS"
        elif "Traceback" in said or ended.code not in (0, *REFUSED):
            outcome = "CRASHES"
        elif found == self.wanted[reader.name] or (reader.over and not ended.code and self._as_made()):
            outcome = "same"
        elif ended.code:
            outcome = "refused" if said.strip() else "SAYS NOTHING"
        else:
            outcome = "named, and went on" if NAMED.search(said) else "SILENTLY DIFFERENT"
        self.counts[outcome] += 1
        if outcome.isupper():
            self.wrong.append(f"{self.kind.name}: {reader.name} after {damage}: {outcome}: {ended.said}")
        return outcome

    def _as_made(self) -> bool:
        """Whether the copy says what the run says."""
        return runs.content(self.folder / "here" / self.run.name) == runs.content(self.run)

    def _read(self, reader: Reader, damage: Damage | None) -> tuple[forks.Ended, Any]:
        # Always of the same name: what is said has it in it.
        place = self.folder / "here"
        shutil.rmtree(place, ignore_errors=True)
        copy = place / self.run.name
        shutil.copytree(self.run, copy, symlinks=True)
        (place / "c.yaml").write_text(runs.CONFIG)
        if damage is not None:
            damage.apply(copy)
        return reader.read(copy)


def parts(scale: float) -> list[Part]:
    """One for every kind of run."""
    promise = "no damage changes a result in silence"
    return [Part(f"damage: {kind.name}", promise, partial(_shown, kind, scale), kind.minutes) for kind in KINDS]


def _shown(kind: Kind, scale: float, folder: Path) -> Shown:
    """Every damage, read by everybody, and flips, each read by one."""
    campaign = Campaign(kind, folder / "runs")
    damages = [*others(campaign.run)][:: max(1, round(1 / scale))]
    for damage in damages:
        for reader in kind.readers:
            campaign.attempt(damage, reader)
    flipped = [*flips(campaign.run, scaled(FLIPS // len(KINDS), scale), random.Random(kind.name))]
    for number, damage in enumerate(flipped):
        campaign.attempt(damage, kind.readers[number % len(kind.readers)])
    assert not campaign.wrong, "\n".join(campaign.wrong)
    said = ", ".join(f"{many:,} {outcome}" for outcome, many in campaign.counts.most_common())
    readers, count = ", ".join(reader.name for reader in kind.readers), len(files(campaign.run))
    tried = f"{len(flipped):,} flips, {len(damages):,} other damages of {count} files, read by {readers}"
    return Shown(tried, said)
