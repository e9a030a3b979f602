"""A file system with too little room: a tmpfs of a few MiB that is nearly full, or else a limit to the size of a file.

Every command that trains is run with so much room left, from none up to what it needs. It must say that the disk is
full, with the exit code for it; every checkpoint is whole; with room made, `--resume` goes on to the result of a run
that had room from the start. What it says of a finished run must be all there.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lrtool.errors import ExitCode
from tests.torture.campaigns import kills
from tests.torture.support import forks, runs
from tests.torture.support.parts import Part, Shown, scaled

#: How full a disk is, from "no room" to "a little too much": so many rooms are tried.
ROOMS = 40
#: The size of the file system, and of what it gives out at a time.
SIZE, PAGE = 4 * 2**20, 4096
COMMANDS = ("train", "range-test", "tune", "sweep", "transfer")
MINUTES = {"train": 1.0, "sweep": 2.0, "transfer": 4.0}


class CannotMountError(Exception):
    """Why no file system can be mounted here."""


@contextmanager
def mounted(place: Path) -> Iterator[Path]:
    """A tmpfs of a few MiB; raises CannotMountError where only others may."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "lrtool-tests", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise CannotMountError("only root mounts file systems")
    made = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        raise CannotMountError(made.stderr.strip() or "mount failed")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True, timeout=60, check=False)


class Tight:
    """A command that runs with too little room, in `disk`; where that is None, no file may grow beyond it."""

    def __init__(self, command: str, folder: Path, disk: Path | None) -> None:
        self.command, self.folder, self.disk = command, folder, disk
        self.output = (disk or folder / "limited") / "out"
        self.counts: Counter[str] = Counter()

    def run(self, rooms: int, still_full: bool = True) -> Shown:
        """From no room to enough; with `still_full` each second one is tried to go on without any more.

        AssertionError where it is not said, or something lost.
        """
        runs.write_configs(self.folder)
        whole = runs.made(self.folder, self.command, "whole")
        # What a transfer plans goes by the times that it measures.
        self.wanted = runs.content(whole) if self.command != "transfer" else {}
        for number in range(rooms):
            self._attempt(int(self._needed(whole) * number / max(1, rooms - 1)), still_full and number % 2 == 0)
        said = ", ".join(f"{many} {outcome}" for outcome, many in self.counts.items())
        kind = f"a file system of {SIZE // 2**20} MiB" if self.disk is not None else "a limit to the size of a file"
        return Shown(f"{rooms} times too little room, by {kind}", said)

    def _needed(self, whole: Path) -> float:
        """Somewhat more than all files take, or the largest of them."""
        sizes = [-(-path.stat().st_size // PAGE) * PAGE for path in whole.rglob("*") if path.is_file()]
        # Journals, and what is written aside, take room as well.
        return 3.0 * (sum(sizes) if self.disk is not None else max(sizes))

    def _attempt(self, room: int, still_full: bool) -> None:
        """Run with so many bytes left; with `still_full` it is first tried to go on without any more."""
        shutil.rmtree(self.output, ignore_errors=True)
        given = (*runs.ARGUMENTS[self.command], "--output", self.output)
        with self._filled(room) as before:
            ended = forks.run(self.folder, self.command, *given, "--quiet", before=before)
            run, what = kills.begun(self.output), f"{self.command} with {room:,} bytes: {ended.said}"
            if ended.code == 0:
                assert run is not None and self._differing(run) == [], what
                self.counts["had room enough"] += 1
                return
            assert ended.code == ExitCode.OUTPUT and "Traceback" not in ended.err and ended.err.strip(), what
            self.counts["said"] += 1
            if run is not None and still_full:
                again = self._resumed(run, before)
                assert again.code in (0, ExitCode.OUTPUT) and "Traceback" not in again.err, f"{what}; {again.said}"
        if run is None:
            return
        check_whole(run)
        ended = self._resumed(run, forks.without_plots)
        differ = self._differing(run)
        assert ended.code == 0 and not differ, f"{what}; with room: {ended.said}; {differ} differ"
        self.counts["went on to the same result"] += 1

    def _resumed(self, run: Path, before: Callable[[], None]) -> forks.Ended:
        return forks.run(self.folder, self.command, "--resume", run, "--quiet", before=before)

    def _differing(self, run: Path) -> list[str]:
        found: dict[str, Any] = runs.content(run)
        return [name for name, value in self.wanted.items() if found.get(name) != value]

    @contextmanager
    def _filled(self, room: int) -> Iterator[Callable[[], None]]:
        """So much room is left while this lasts, for a child that begins with what this gives."""
        if self.disk is None:
            yield partial(_limited, room)
            return
        ballast = self.disk / "ballast"
        there = os.statvfs(self.disk)
        ballast.write_bytes(bytes(max(0, there.f_bavail * there.f_frsize - room)))
        try:
            yield forks.without_plots
        finally:
            ballast.unlink()


def _limited(most: int) -> None:
    """Called in a child: no file grows beyond so many bytes; the system says EFBIG, not ENOSPC."""
    forks.without_plots()
    # What is said goes into files, too.
    most = max(most, 2048)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def check_whole(run: Path) -> None:
    """AssertionError where a checkpoint that says it is there is not as it says."""
    for manifest in (run / "checkpoints").rglob("step-*.sha256"):
        for line in manifest.read_text().splitlines():
            digest, name = line.split(maxsplit=1)
            found = hashlib.sha256((manifest.parent / name.lstrip("*")).read_bytes()).hexdigest()
            assert found == digest, f"{manifest.parent / name} is not what {manifest.name} says"


def parts(scale: float) -> list[Part]:
    """One for every command that trains."""
    promise, rooms = "a full disk is said, and what was saved goes on", scaled(ROOMS, scale)
    return [Part(f"full: {name}", promise, partial(_shown, name, rooms), MINUTES.get(name, 2.0)) for name in COMMANDS]


def _shown(command: str, rooms: int, folder: Path) -> Shown:
    limited = Tight(command, folder, None).run(rooms // 2)
    try:
        with mounted(folder / "disk") as disk:
            shown = Tight(command, folder, disk).run(rooms)
    except CannotMountError as error:
        return Shown(limited.size, f"{limited.figure}; no file system of its own: {error}")
    return Shown(f"{shown.size}, {limited.size}", f"{shown.figure}; {limited.figure}")
