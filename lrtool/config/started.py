"""The record of code that this user has run, by which runs of it can be resumed.

A run folder says what it is made of, and so does a stranger's. What was started here is therefore remembered where only
the user writes: a small file in `lrtool/started/` of the user's state folder (XDG_STATE_HOME, ~/.local/state). Its name
is a digest of the code's targets and arguments; it holds the folders and packages that the user allowed then. The run
folder may be moved; a changed target or argument is not known any more. Where nothing can be remembered (no home, as in
CI) the user allows the code again, with `--allow-import` or LRTOOL_ALLOW_IMPORT.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from lrtool.config.code import code_digest, code_of, targets_of
from lrtool.config.settings import InFolder
from lrtool.errors import OutputError, UsageError
from lrtool.runs.atomic import write_json
from lrtool.tasks.base import BuildContext
from lrtool.tasks.permission import allows, check_allowed, needed, whole

#: Targets that a refusal names.
_NAMED = 5


def remember(config: InFolder, allow_import: Collection[str]) -> None:
    """Remember what the user has started: the code of a config or a sweep, and where it was allowed to come from."""
    code = code_of(config)
    file = _file(code) if code else None
    if file is None:
        return
    beside = [f"{config.folder}{os.sep}"] if config.code_beside else []
    # Where it cannot be remembered it has to be allowed again; that is no reason not to start.
    with contextlib.suppress(OSError, OutputError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(file, {"schema": 1, "allow": sorted({*beside, *map(whole, allow_import)})})


def check_code(config: InFolder, allow_import: Collection[str]) -> None:
    """Raise UsageError where a config, or any trial of a sweep, names code that may not run."""
    context = BuildContext(config.folder, frozenset(allow_import), config.code_beside)
    for target, key in targets_of(code_of(config)).items():
        check_allowed(target, context, key.removesuffix(".use"))


def allowed_again(config: InFolder, allow_import: Collection[str]) -> frozenset[str]:
    """The folders and packages whose code a resumed run may run: those it was started with, and those allowed now.

    Raises UsageError, which names the code that is asked for, where that is neither known nor allowed.
    """
    code = code_of(config)
    file = _file(code) if code else None
    given = frozenset(allow_import) | (_recorded(file) if file is not None else frozenset())
    context = BuildContext(config.folder, given, config.code_beside)
    refused = {target: key for target, key in targets_of(code).items() if not allows(target, context)}
    if refused:
        raise UsageError(_asked(refused, code), where=str(config.folder), remedy=_remedy(refused, context))
    return given


def _asked(refused: Mapping[str, str], code: Mapping[str, Any]) -> str:
    said = []
    for target, key in list(refused.items())[:_NAMED]:
        args = code.get(f"{key.removesuffix('.use')}.args")
        said.append(f"{key} {target}" + (f" with {_short(args)}" if args else ""))
    more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
    return f"this run was not started here with the code that it asks to run: {', '.join(said)}{more}"


def _remedy(refused: Iterable[str], context: BuildContext) -> str:
    words = " ".join(dict.fromkeys(f"--allow-import {needed(target, context)}" for target in refused))
    return f"if you know that code and want it to run, add {words} (or set LRTOOL_ALLOW_IMPORT)"


def _short(args: Any) -> str:
    text = json.dumps(args)
    return text if len(text) <= 100 else f"{text[:99]}…"


def _file(code: Mapping[str, Any]) -> Path | None:
    """Where code is remembered; None where the user has no folder."""
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_STATE_HOME", "")
    try:
        # As the specification has it, a relative path counts as none: it would lie in whichever folder one is in.
        state = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return state / "lrtool" / "started" / f"{code_digest(code)}.json"


def _recorded(file: Path) -> frozenset[str]:
    """What is remembered; nothing where somebody else may have written it."""
    try:
        if not (_own(file.parent, stat.S_ISDIR) and _own(file, stat.S_ISREG)):
            return frozenset()
        allow = json.loads(file.read_bytes())["allow"]
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
    return frozenset(str(entry) for entry in allow) if isinstance(allow, list) else frozenset()


def _own(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether it is no link, and only this user can have made it or, in a folder, what is in it.

    On Windows the system keeps others out of the user's folders, and has no such bits.
    """
    found = path.lstat()
    if os.name == "nt" or not kind(found.st_mode):
        return kind(found.st_mode)
    # A file's own bits follow the umask; nobody else gets to it through its folder.
    return found.st_uid == os.geteuid() and not (stat.S_ISDIR(found.st_mode) and found.st_mode & 0o022)
