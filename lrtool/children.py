"""Child processes: started with a pipe to each, heard side by side, and none left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, Literal

from lrtool.errors import Interrupted
from lrtool.memory import keep_freed_memory
from lrtool.streams import make_forgiving

#: What is heard of a child that has ended.
GONE = object()


class Child:
    """A process that lives as `life(connection, *args)` does, and this end of the pipe to it.

    Forked, it has all that this process has; spawned, it begins anew, and everything must be picklable. It does not
    outlive this process. Ctrl-C, the closing of a terminal and a scheduler's signals, which reach every process, are
    for this process to act on.
    """

    def __init__(self, method: Literal["fork", "spawn"], life: Callable[..., None], *args: Any) -> None:
        context: Any = multiprocessing.get_context(method)
        self.connection, far = context.Pipe()
        self.process: BaseProcess = context.Process(target=_live, args=(far, life, args), daemon=True)
        # Before it starts: a signal may come at any line, and who is told of no child ends none.
        Finalize(self, _end, (self.process,), exitpriority=100)
        self.process.start()
        far.close()

    def send(self, message: Any) -> None:
        """Send it something; whether it is still there is noticed when it is heard."""
        with suppress(OSError):
            self.connection.send(message)

    def dismiss(self) -> None:
        """Nothing more will be sent: a spawned process ends by itself."""
        self.connection.close()
        self.process.join()

    def kill(self) -> None:
        """End it now."""
        self.process.kill()
        self.dismiss()

    @property
    def killed(self) -> bool:
        """Whether the system ended it, as happens when memory runs out."""
        return self.process.exitcode == -9

    @property
    def fate(self) -> str:
        """How it ended, in words."""
        code = self.process.exitcode
        return f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"


def _end(process: BaseProcess) -> None:
    """End a process that nobody holds, or whose parent ends: no signal ends it, and it would be waited for."""
    if process.pid is not None:
        process.kill()


def heard(children: Sequence[Child], seconds: float | None = None) -> Iterator[tuple[Child, Any]]:
    """What children send, one message of each at most, or GONE; waits until there is any, or for so many seconds."""
    Interrupted.check()
    known = {child.connection: child for child in children}
    for connection in wait(list(known), seconds):
        child = known[connection]
        try:
            message = child.connection.recv()
        except (EOFError, OSError):
            child.process.join()
            message = GONE
        yield child, message


def _live(connection: Connection, life: Callable[..., None], args: Sequence[Any]) -> None:
    """What a child does from its first moment to its last."""
    keep_freed_memory()
    for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # One that came to the parent as it forked.
    Interrupted.heard = None
    make_forgiving()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Whoever would hear of it has gone.
    with suppress(EOFError, BrokenPipeError):
        life(connection, *args)


def _end_with_parent() -> None:
    """A parent that was killed must not leave processes that go on training for nobody."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
