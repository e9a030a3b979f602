"""Commands of lrtool in children of one process that has everything imported: a hundred times cheaper to start.

The parent trains nothing and starts no thread, so a child is as fresh as a process of its own would be. Each has a
session of its own, by which the processes it started are found.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

#: Seconds after which a command counts as hanging.
LIMIT = 120.0
#: Bytes of memory that a command may take beyond what it starts with.
MEMORY = 3 * 2**30
#: What is rehearsed, so that its imports are known.
REHEARSED = (
    ("train", "c.yaml", "--quiet"),
    ("range-test", "c.yaml", "--quiet"),
    ("tune", "c.yaml", "--quiet"),
    ("sweep", "s.yaml", "--quiet"),
    ("compare", "outputs/s/latest", "--output", "drawn"),
    ("report", "outputs/s/latest", "outputs/small/latest"),
)


def warm() -> None:
    """Import what commands import, once: small runs of them are rehearsed in children, which say what that was."""
    import torch

    import lrtool.cli.app  # noqa: F401

    torch.set_num_threads(1)
    from tests.torture.support import runs

    with tempfile.TemporaryDirectory() as name, _own_places(Path(name)):
        folder = Path(name)
        runs.write_configs(folder)
        for command in REHEARSED:
            ended = run(folder, partial(_rehearse, command, folder / "modules"))
            assert ended.code == 0, f"{command}: {ended.said}"
            for module in (folder / "modules").read_text().split():
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
    gc.collect()
    gc.freeze()


def _rehearse(command: tuple[str, ...], target: Path) -> None:
    from lrtool.cli.app import run as run_command

    run_command([*command])
    target.write_text("\n".join(sorted(sys.modules)))


@contextlib.contextmanager
def _own_places(folder: Path) -> Iterator[None]:
    """What lrtool remembers of speeds and runs stands in this folder, as long as this lasts."""
    names = ("XDG_CACHE_HOME", "XDG_STATE_HOME")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(folder / name.lower()) for name in names})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class Ended:
    """How a command ended: `left` are the processes that it started and that are still there."""

    code: int | None
    out: str
    err: str
    seconds: float
    left: tuple[int, ...] = ()

    @property
    def said(self) -> str:
        """The end of what it said, for messages."""
        return f"code {self.code}: {(self.err or self.out).strip()[-600:]}"


class Forked:
    """A command that runs in a child, in a folder; `before` is called in the child first, as to break something."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[object] | Callable[[], Any],
        before: Callable[[], Any] | None = None,
        limited: bool = False,
    ) -> None:
        self.began = time.perf_counter()
        self.text = folder / f".{time.monotonic_ns()}"
        self._outputs = (self.text.with_suffix(".out"), self.text.with_suffix(".err"))
        self._process = multiprocessing.get_context("fork").Process(
            target=_live, args=(folder, command, before, self._outputs, limited)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self._process.is_alive():
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait so long for its end; whether it has come."""
        self._process.join(seconds)
        return not self._process.is_alive()

    def ended(self, limit: float = LIMIT, grace: float = 0.0) -> Ended:
        """Its end; one that hangs is killed, with code None. `grace`: seconds that its own children may take to go."""
        hangs = not self.wait(limit)
        seconds = time.perf_counter() - self.began
        if hangs:
            self._process.kill()
            self._process.join()
        left = members(self.pid)
        waited = time.perf_counter()
        while left and time.perf_counter() - waited < grace:
            time.sleep(0.02)
            left = members(self.pid)
        for each in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        out, err = (path.read_text(errors="replace") if path.exists() else "" for path in self._outputs)
        for path in self._outputs:
            path.unlink(missing_ok=True)
        return Ended(None if hangs else self._process.exitcode, out, err, seconds, left)


def run(folder: Path, *command: object, before: Callable[[], Any] | None = None, limited: bool = False) -> Ended:
    """A command, or a function, to its end."""
    given = command[0] if command and callable(command[0]) else command
    return Forked(folder, given, before, limited).ended()


def members(session: int) -> tuple[int, ...]:
    """The processes of a session that are not yet gone (Linux)."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                # pid (name) state parent group session …; a name may have blanks and brackets.
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] not in "ZX":
                    found.append(int(path.name))
    return tuple(found)


def _live(
    folder: Path,
    command: Sequence[object] | Callable[[], Any],
    before: Callable[[], Any] | None,
    outputs: tuple[Path, Path],
    limited: bool,
) -> None:
    os.setsid()
    for descriptor, path in zip((1, 2), outputs, strict=True):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, descriptor)
        os.close(handle)
    # As a process of its own has them: written to the descriptors, line by line on stderr.
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    if "torch" in sys.modules:
        # Where a test before this one used torch's threads, a child has the pool but none of its threads, and waits.
        sys.modules["torch"].set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if limited:
        _limit_memory()
    if before is not None:
        before()
    if callable(command):
        command()
        sys.exit(0)
    from lrtool.cli.app import run as run_command

    sys.exit(run_command([str(each) for each in command]))


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def without_plots() -> None:
    """Called in a child: plots, which take longer than all else of a small run, are left out."""
    from lrtool.report import pictures

    assert hasattr(pictures, "picture")
    pictures.picture = lambda *_: None


def forked_workers() -> None:
    """Called in a child: the workers of `--executor local` are forked as well, where each would take seconds to start.

    Workers that are spawned, as users have them, are killed by tests/benchmarks/sweep_faults.py.
    """
    from lrtool import children
    from lrtool.executors.local import LocalProcesses, _serve

    class Worker(children.Child):
        def dismiss(self) -> None:
            # Forked ones hold each other's pipes, so none would see that its own was closed.
            self.connection.close()
            self.process.kill()
            self.process.join()

    LocalProcesses._hired = lambda _, work: Worker("fork", _serve, work)  # type: ignore[method-assign]
