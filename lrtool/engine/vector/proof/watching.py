"""Calls that a task's code makes while it runs: the user's own code, and what gives another answer each time."""

from __future__ import annotations

import datetime
import os
import random
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from lrtool.engine.vector.proof.fingerprint import Running
from lrtool.engine.vector.proof.usercode import is_users

_CLOCK = "reads the clock"
_SYSTEM = "draws from the operating system"
_FILES = "reads or writes files"
_PROCESS = "looks at its process"


def _named(module: Any, says: str, *names: str) -> dict[Any, str]:
    return {getattr(module, name): says for name in names if hasattr(module, name)}


_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
#: Calls whose answer is no function of the model, and what they do.
_OUTSIDE: dict[Any, str] = {
    **_named(time, _CLOCK, *_CLOCKS, *(f"{name}_ns" for name in _CLOCKS), "localtime", "gmtime", "ctime", "strftime"),
    **_named(datetime.datetime, _CLOCK, "now", "utcnow"),
    **_named(datetime.date, _CLOCK, "today"),
    **_named(os, _SYSTEM, "urandom", "getrandom"),
    **_named(os, _FILES, "open", "stat", "lstat", "listdir", "scandir", "access", "remove", "unlink", "rename"),
    open: _FILES,
    **_named(os, _PROCESS, "getpid", "getppid", "times", "getloadavg", "putenv", "unsetenv"),
}
#: Modules whose Python code may stand between the user's and such a call. Others (logging, warnings, imports) call
#: these for themselves.
_BETWEEN = frozenset(
    ("random", "secrets", "uuid", "os", "tempfile", "pathlib", "io", "datetime", "posixpath", "ntpath", "genericpath")
)
_GENERATORS = (torch.Generator, random.Random)


@dataclass
class Calls:
    """A context that notes what is called in this thread.

    `outside`: for each thing that the user's code does there, in words, the line that does it. `ran`: his code.
    `drawing`: the line that first draws from a generator of Python's.
    """

    outside: dict[str, str] = field(default_factory=dict)
    ran: dict[types.CodeType, Running] = field(default_factory=dict)
    drawing: str | None = None
    _before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.getprofile()
        sys.setprofile(self._noted)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        if callable(self._before):
            sys.setprofile(self._before)
        elif self._before is not None:
            self._before.enable()  # Python's own profiler gives itself, which setprofile does not take

    def _noted(self, frame: types.FrameType, event: str, called: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in self.ran and is_users(code):
                self.ran[code] = Running(code, frame.f_globals)
        elif event == "c_call":
            self._called(frame, called)

    def _called(self, frame: types.FrameType, called: Callable[..., Any]) -> None:
        owner = getattr(called, "__self__", None)
        if isinstance(owner, _GENERATORS):
            self._generator(frame, called, owner)
            return
        try:
            says = _OUTSIDE.get(called)
        except TypeError:  # bound to what cannot be hashed
            return
        if says is not None and (place := _users_line(frame)) is not None:
            self.outside.setdefault(f"{says} ({called.__name__})", place)

    def _generator(self, frame: types.FrameType, called: Callable[..., Any], owner: Any) -> None:
        place = _users_line(frame, any_between=True)
        if place is None:
            return
        if isinstance(owner, random.Random):
            self.drawing = self.drawing or place
        elif called.__name__ in ("manual_seed", "seed", "initial_seed", "set_state", "get_state"):
            self.outside.setdefault(f"handles torch's random generator ({called.__name__})", place)


def _users_line(frame: types.FrameType | None, any_between: bool = False) -> str | None:
    """The user's line that leads to this call, if only such modules stand between as may; None if lrtool makes it."""
    while frame is not None and not is_users(frame.f_code):
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("lrtool."):
            return None
        if not any_between and module not in _BETWEEN and not module.startswith("numpy"):
            return None
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
